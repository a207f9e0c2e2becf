"""A class plays lesson 5 through in one room: a hundred students by HTTP, six real browsers, and the wall. Every number
on the wall is what was sent."""

import csv
import io
import random
import re
from collections import Counter

import numpy as np
import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError
from playwright.sync_api import expect, sync_playwright

from app.classroom.asked import SEEDS
from app.classroom.pool import MOST_DRAWS, summary
from app.features.estimator.example import EXAMPLE
from resflow_core.estimators.draws import draw_estimates
from tests.browser.conftest import chromium_options
from tests.hostile.classes import Class, Line
from tests.served import wait_for

LESSON = "roulette"
PHONES, LAPTOPS = 4, 2
DRAWS = 200
SIZE = 100
SECONDS = 180.0  # until a whole class has answered on a busy machine
MILLISECONDS = 1000 * SECONDS
IDLE = "() => document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'"
WALL = {"width": 1280, "height": 720}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture(autouse=True)
def patience():
    expect.set_options(timeout=MILLISECONDS)
    yield
    expect.set_options(timeout=5_000)  # what Playwright has at first


def choice(k, asked, round):
    """What student number k answers: at random, each their own, and others in the second round."""
    draw = random.Random(f"{k} {asked['id']} {round}")
    if asked["options"]:
        return draw.choice(asked["options"])[0]
    high = asked["high"] if asked["high"] is not None else 10_000
    return round_to(asked["low"] + (high - asked["low"]) * draw.randrange(1, 12) / 12)


def round_to(value):
    return float(f"{value:.3g}")


class Room:
    """The wall in a browser, four phones and two laptops in browsers, and a class of students by HTTP."""

    def __init__(self, server, browser):
        self.url, self.browser, self.problems = server.url, browser, []
        self.wall = self.page(f"wall/new?lesson={LESSON}", viewport=WALL)
        expect(self.wall.locator("header .code")).to_have_text(re.compile("^[A-Z]{5}$"))
        self.code = self.wall.locator("header .code").inner_text()
        secret = self.wall.evaluate("code => JSON.parse(localStorage['resflow.room']).secrets[code]", self.code)
        self.teacher = Line(server.url, {"x-room-secret": secret})

    def page(self, path, **context):
        made = self.browser.new_context(**context).new_page()
        made.set_default_timeout(MILLISECONDS)
        made.on("pageerror", lambda error: self.problems.append(str(error)))
        made.goto(f"{self.url}/{path}")
        return made

    def told(self):
        return self.teacher.ask(f"/rooms/{self.code}")

    def do(self, name):
        self.wall.locator(f"#do-{name}").click()

    def export(self, name):
        return list(csv.DictReader(io.StringIO(self.teacher.ask(f"/rooms/{self.code}/{name}.csv"))))


def tap(button, seen):
    """Tap until it has its effect: a member is heard once a second, and told so."""

    def there():
        try:
            button.tap(timeout=5_000)
            seen.first.wait_for(timeout=3_000)
        except PlaywrightTimeoutError:
            return seen.count() > 0
        return True

    wait_for(there, "what a tap does", SECONDS)


def answer_by_hand(phone, number, asked):
    """What phone number `number` answers: the choice of that number, or a number that it types."""
    if asked["options"]:
        key, _ = asked["options"][number % len(asked["options"])]
        button = phone.locator("section .choices button").nth(number % len(asked["options"]))
        button.wait_for()
        tap(button, phone.locator(".given"))
        return key
    value = choice(1000 + number, asked, asked["round"])
    phone.locator("#answer").fill(str(value))
    tap(phone.locator("form.number button"), phone.locator(".given"))
    return value


def on_the_wall(room, question):
    """The counts of each round, as the wall shows them: bars with numbers, or a dot for each answer."""
    wall = room.wall
    if question["options"]:
        people = [int(text) for text in wall.locator(".bar .people").all_inner_texts()]
        rounds = len(people) // len(question["options"])
        keys = [key for key, _ in question["options"]]
        return [dict(zip(keys, people[n::rounds], strict=True)) for n in range(rounds)]
    rounds = wall.locator("svg.chart line.axis").count() and len(question["rounds"])
    return [wall.locator(f"svg.chart circle.round-{n + 1}").count() for n in range(rounds)]


def ask(room, students, phones, id):
    """Two votes on one question, a discussion between them, and the truth, unless the question is asked again later."""
    room.wall.select_option("#choose", id)
    size, sent = len(students) + len(phones), {}
    for number in (1, 2):
        wait_for(lambda n=number: (room.told()["question"] or {}).get("round") == n, "the vote to open", SECONDS)
        asked = room.told()["question"]
        by_hand = [answer_by_hand(phone, k, asked) for k, phone in enumerate(phones)]
        here = (id, number)
        wait_for(lambda here=here: all(here in one.sent for one in students), "everybody's answer", SECONDS)
        sent[number] = Counter([one.sent[here] for one in students] + by_hand)
        expect(room.wall.locator(".answered")).to_contain_text(f"{size} of ")
        assert len(room.told()["question"]["rounds"]) == number - 1, "hidden until it is shown"
        assert room.wall.locator(".heads, circle.round-2").count() == 0
        room.do("show")
        expect(room.wall.locator("#do-again")).to_be_visible()
        expect(room.wall.locator("#do-reveal")).to_have_count(0 if asked["told_later"] else 1)
        if number == 1:
            room.do("discuss")
            expect(room.wall.locator("#do-discuss")).to_have_count(0)
            room.do("again")
    expect(room.wall.locator("#do-again")).to_be_visible()
    if not asked["told_later"]:
        room.do("reveal")
        expect(room.wall.locator(".truth")).to_be_visible()
    told = room.told()["question"]
    assert [Counter(dict(map(tuple, one))) for one in told["rounds"]] == [sent[1], sent[2]]
    for shown, expected in zip(on_the_wall(room, told), (sent[1], sent[2]), strict=True):
        if told["options"]:
            assert shown == {key: expected[key] for key, _ in told["options"]}
        else:
            assert shown == size
    if asked["told_later"]:
        assert told["truth"] is None and not any(id in one.truths for one in students)
    else:
        wait_for(lambda: all(one.truths.get(id) == told["truth"]["value"] for one in students), "the truth", SECONDS)
    return told["text"], sent


def draws_of(seed, n):
    bench = EXAMPLE
    return draw_estimates(bench.array, bench.law, bench.probe, n, seed).value


def draw(room, students, phones, laptops):
    """Everybody draws in the step `many`: phones with seeds of the server's, laptops on the bench with their own."""
    room.wall.locator("#view-pace").click()
    room.wall.locator("#bring-many").click()
    room.wall.locator("#view-draws").click()
    room.wall.select_option("#gather", "many")
    for k, student in enumerate(students):
        student.wanted_coins = [1 + k % 3]
        student.wanted_draws = DRAWS
    for phone in phones:
        tap(phone.get_by_role("button", name="Draw 100", exact=True), phone.get_by_text("draws: mean"))
    expected = []
    for number, laptop in enumerate(laptops):
        seed, amount = number + 1, ("100", "10,000")[number]
        laptop.wait_for_function("() => location.search.includes('step=many')")
        field = laptop.get_by_role("spinbutton", name="Seed")
        field.fill(str(seed))
        field.press("Enter")
        laptop.wait_for_function(IDLE)
        laptop.get_by_role("button", name=f"Draw {amount}", exact=True).click()
        n = min(int(amount.replace(",", "")), MOST_DRAWS)
        expect(laptop.locator(".st-key-lesson")).to_contain_text(f"{n} of your draws")
        expected.append(draws_of(seed, n))
    wait_for(lambda: all(one.has_drawn() == DRAWS for one in students), "everybody's draws", SECONDS)
    # A tap that is answered late is tapped again: how many draws there are then, the phone says.
    drawn = [int(phone.get_by_text("draws: mean").inner_text().split()[0]) for phone in phones]
    sizes = [*[DRAWS] * len(students), *drawn]
    expected = [*(draws_of(SEEDS + member, n) for member, n in enumerate(sizes)), *expected]
    everything = np.concatenate(expected)
    assert room.told()["draws"]["all"]["n"] == len(everything)
    found, truth = summary(everything), float(np.linalg.slogdet(np.eye(2) + EXAMPLE.array)[1])
    pooled = [float(row["estimate of the log det (nats)"]) for row in room.export("draws")]
    np.testing.assert_allclose(pooled, np.sort(everything), rtol=0, atol=0)
    section = room.wall.locator("section")
    expect(section).to_contain_text(f"{len(everything)} draws of the class: mean {found.mean:.4g} ± {found.error:.2g}")
    room.wall.locator("#chart-histogram").click()
    expect(room.wall.locator("svg.chart rect.column")).to_have_count(len(room.told()["draws"]["histogram"]["counts"]))
    assert sum(room.told()["draws"]["histogram"]["counts"]) == len(everything)
    room.wall.locator("#chart-intervals").click()
    hits = sum(bool(summary(one).contains(truth)) for one in expected)
    expect(section).to_contain_text(f"{hits} of {len(expected)} intervals")
    expect(room.wall.locator("circle.interval.hit")).to_have_count(hits)
    expect(room.wall.locator("circle.interval.miss")).to_have_count(len(expected) - hits)
    room.wall.locator("#chart-shared").click()
    expect(section).to_contain_text(re.compile(rf"\d+ of {len(expected)} intervals"))
    wait_for(lambda: all(one.state["coins"] == one.wanted_coins for one in students), "everybody's coin", SECONDS)
    thrown = [throws for one in students for throws in one.wanted_coins]
    assert room.told()["coins"] == [[throws, thrown.count(throws)] for throws in sorted(set(thrown))]
    expect(section).to_contain_text(f"{len(thrown)} rows of throws, {np.mean(thrown):.4g} throws")


def enter(room):
    """A laptop: by the page for phones into the lesson."""
    page = room.page(f"r/{room.code}", viewport={"width": 1366, "height": 768})
    expect(page.locator("header")).to_contain_text(room.code)
    page.locator("p.quiet a").last.click()
    expect(page.locator(".st-key-lesson")).to_contain_text(room.code)
    return page


def test_a_class_plays_a_lesson_through(server):
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**chromium_options())
        room = Room(server, browser)
        with Class(server.url, room.code, SIZE, choice) as klass:
            students = klass.students
            phones = [room.page(f"r/{room.code}", **PHONE) for _ in range(PHONES)]
            for phone in phones:
                expect(phone.locator("header")).to_contain_text(room.code)
            asked = {}
            for question in room.told()["questions"]:
                text, asked[question["id"]] = ask(room, students, phones, question["id"])
                assert text
            laptops = [enter(room) for _ in range(LAPTOPS)]
            expect(room.wall.locator(".count")).to_contain_text(f"{SIZE + PHONES + LAPTOPS} ")
            draw(room, students, phones, laptops)
            rows, people = room.export("counts"), SIZE + PHONES
            for sent in asked.values():
                assert len(sent) == 2 and all(sum(counts.values()) == people for counts in sent.values())
            assert sum(int(row["people"]) for row in rows) == 2 * len(asked) * people
        seconds = klass.seconds()
        middle, last = seconds[len(seconds) // 2], seconds[-1]
        lost = [one for student in students for one in student.lost]
        print(f"{SIZE} students: {len(seconds)} answers, median {middle:.3f} s, largest {last:.2f} s, {len(lost)} lost")
        assert not klass.broken
        assert not [one.early for one in students if one.early]
        assert not room.problems
        room.teacher.connection.close()
        browser.close()
