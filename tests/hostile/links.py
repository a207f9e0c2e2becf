"""Links that nobody should send: each kind of attack by its name, with the screens and queries that it makes.

`attacks()` is the same on every call: what is drawn at random has a fixed seed. Flows are small where an attack is not
about their size.
"""

import math
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from urllib.parse import quote, urlencode

from app.drawing import Drawing, Stroke
from app.drawing.text import to_text
from app.link import BENCHES, STEP, VIEW, names
from app.setup import CsvChoice, FlowFile, Setup, entries, parts
from resflow_core.settings import Setting

SEED = 20261127
LIGHT = {"blocks": "2", "width": "4", "hidden_layers": "1", "batch": "32", "horizon": "64"}
SETTINGS = "explore"  # the screen that has no settings but those of all screens
SCREENS = (
    "", "learn", "teach", "paper", SETTINGS, "glossary",
    *(prefix.rstrip(".").replace("bench", "estimator") for prefix in BENCHES),
)  # fmt: skip
LONG = 100_000

Query = dict[str, str]


@dataclass(frozen=True)
class Attack:
    """What is opened, and the kind of attack that it is."""

    kind: str
    path: str
    query: str


VALUES: dict[str, Callable[[Random], str]] = {
    "letters": lambda random: "".join(random.choices(string.ascii_letters, k=12)),
    "nothing": lambda _: "",
    "blanks": lambda _: " \t\n ",
    "nan": lambda _: "nan",
    "inf": lambda random: random.choice(["inf", "-inf", "Infinity", "1e999"]),
    "negative": lambda random: f"-{random.randint(1, 10**6)}",
    "zero": lambda random: random.choice(["0", "-0.0", "0e0"]),
    "a fraction": lambda random: random.choice(["0.5", "1/0", "1/3", "1e-320"]),
    "30 digits": lambda random: "".join(random.choices("123456789", k=30)),
    "4,000 digits": lambda _: "9" * 4000,
    "5,000 digits": lambda _: "9" * 5000,
    "other notations": lambda random: random.choice(["0x10", "1_000", "٣٤", "Ⅻ", "1,5", "+7"]),
    "a list": lambda random: ",".join(map(str, random.choices(range(-9, 9), k=40))),
    "a thousand commas": lambda _: "," * 1000,
    "words of Python": lambda random: random.choice(["None", "True", "[]", "{}", "lambda: 0", "__import__('os')"]),
    "signs of other scripts": lambda _: "\u202e🜁é\u0301漢字\u200b\ufeff\U0010ffff",
    "a null": lambda _: "a\0b",
    "broken bytes": lambda _: "%ff%fe%80%zz%",
    "markup": lambda _: "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "Markdown": lambda _: "](javascript:alert(1)) `$\\frac{1}{0}$` :red[x] **",
    "a format": lambda _: "{0.__class__.__mro__} %s %n ${HOME}",
    "a path": lambda random: random.choice(["../../../../etc/passwd", "/dev/zero", "C:\\con", "file:///etc/passwd"]),
    "100 kB": lambda random: random.choice("x9 ,;:") * LONG,
}
"""Values that stand in the place of a setting's."""

PATHS = (
    "nosuch",
    "EXPLORE",
    "explore/explore",
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "explore\0",
    "☃",
    "_stcore/health",
    "features/explore/explore.py",
    "x" * 5000,
)
FILE_NAMES = ("../../etc/passwd", "a\0b", "<script>", "x" * LONG, "", "CON", "🜁" * 300, "|", "`]($")
DIGESTS = ("0123456789ab", "", "nonsense", "0" * 64, "0123456789AB", "zzzzzzzzzzzz", "0" * LONG)
LESSONS = (
    "change",
    "roulette",
    "bugs",
    "nosuch",
    "../../README",
    "04-series.de",
    "",
    "glossary",
    "\0",
    "x" * LONG,
    "🜁",
)
STEPS = ("1", "nosuch", "../x", "-1", "", "x" * 5000)
LANGUAGES = ("", "de", "xx", "../../", "x" * 5000, "🜁")


def attacks() -> dict[str, Attack]:
    """All of them by names of their own."""
    random, found = Random(SEED), {}
    for kind, make in KINDS.items():
        for path, query in make(random):
            attack = Attack(kind, path, query if isinstance(query, str) else urlencode(query))
            found[f"{kind}, {path[:20] or 'home'!r}, {len(found)}"] = attack
    return found


def _values(random: Random) -> Iterator[tuple[str, Query]]:
    """Every setting of a screen has the same hostile value; with the settings of flow and training, or without."""
    for k, (screen, prefix) in enumerate(_screens()):
        for j, value in enumerate(VALUES.values()):
            if (j + k) % 3:  # a third of them, in turns
                continue
            own = [name for name in names() if (name.startswith(prefix) if prefix else "." not in name)]
            yield screen, (LIGHT if prefix else {}) | dict.fromkeys(own, value(random))


def _limits(random: Random) -> Iterator[tuple[str, Query]]:
    """Every setting of a bench at its lowest and at its highest value, and just beyond."""
    for screen, prefix in _screens():
        config = BENCHES[prefix]() if prefix else Setup()
        for place in ("lowest", "highest", "below", "above"):
            at = {key: _at(limits, value, place, random) for key, limits, value in entries(config, prefix)}
            yield screen, LIGHT | at if prefix else at | LIGHT


def _views(random: Random) -> Iterator[tuple[str, Query]]:
    """Every view of every bench, with settings drawn from among good and bad ones."""
    for screen, prefix in _screens():
        if not prefix:
            continue
        config = BENCHES[prefix]()
        views = next((limits.choices for part, limits, _ in parts(config) if part.name == "view"), {"": None})
        for view in views:
            places = ("lowest", "highest", "below", "above", "junk", "junk")
            drawn = {
                key: _at(limits, value, random.choice(places), random)
                for key, limits, value in entries(config, prefix)
                if random.random() < 0.6
            }
            yield screen, LIGHT | drawn | ({f"{prefix}view": view} if view else {})


def _at(limits: Setting, value: object, place: str, random: Random) -> str:
    if place == "junk":
        return random.choice(list(VALUES.values()))(random)[:2000]
    if limits.choices is not None:
        return random.choice(list(limits.choices)) if place in ("lowest", "highest") else "nosuch"
    if math.isinf(limits.low) or math.isinf(limits.high):
        return "x" * int((0 if math.isinf(limits.high) else limits.high) + (place == "above"))
    at = {"lowest": limits.low, "highest": limits.high, "below": limits.low - 1, "above": limits.high + 1}[place]
    count = len(value) if isinstance(value, tuple) else 1
    kind = int if isinstance(value, int) and math.isfinite(at) else float
    return " ".join([str(kind(at))] * count)


def _unknown_paths(_: Random) -> Iterator[tuple[str, Query]]:
    for path in PATHS:
        yield path, {}
        yield path, LIGHT


def _parameters(random: Random) -> Iterator[tuple[str, Query | str]]:
    """Very many parameters, the same one again and again, and none that can be read."""
    light = urlencode(LIGHT)
    for screen, _ in random.sample(_screens(), 3):
        yield screen, LIGHT | {f"p{i}": str(i) for i in range(5000)}
        yield screen, light + "".join(f"&seed={i}" for i in range(3000))
        yield screen, light + "".join(f"&blocks={value}" for value in ("x", "", "2", "3", "-1"))
        yield screen, light + "&" + quote("\0" * 30 + "🜁" * 3000) + "=1&=&&=;;&=x&[]=&seed[]=1&seed%00=1&%=%&%zz"
        yield screen, light + "&embed=true&embed_options=dark_theme&embed_options=nosuch"
        yield screen, "?" * 2000 + light


def _steps(random: Random) -> Iterator[tuple[str, Query]]:
    """How far the run has gone, what is looked at, and which entry of the history it is."""
    for text in ("", "-1", "1.5", "1e9", "0x10", "½", "٣", "999999999", "1000000000", "9" * LONG, "🜁 \0 <script>"):
        query = {STEP: text, VIEW: text, f"{VIEW}.zoom": text, f"{VIEW}.entry": text}
        yield random.choice(_screens())[0], LIGHT | query


def _changes(random: Random) -> Iterator[tuple[str, Query]]:
    rates = [f"{random.uniform(1e-5, 1e-1):.6f}" for _ in range(5000)]
    for text in (
        ";".join(f"{10 * i + 1}:learning_rate={rate}" for i, rate in enumerate(rates)),
        ";".join(f"{i}:nosuch={rate}" for i, rate in enumerate(rates)),
        ";".join(f"{5000 - i}:learning_rate={rate}" for i, rate in enumerate(rates)),
        ";".join(["7:batch=64"] * 5000),
        ";" * LONG,
        ":" * LONG,
        "," * LONG,
        "1:" + ",".join(f"learning_rate={rate}" for rate in rates),
        "0:log_det=Roulette,log_det.law=Table,log_det.law.table=nan nan;1:log_det=nosuch",
        "1:learning_rate=nan;2:learning_rate=inf;3:learning_rate=-1;4:batch=1e9;5:clip=0",
        "999999999:batch=64;9999999999:batch=32;-1:batch=8;1.5:batch=8;x:batch=8;:;٣:batch=8",
        "1:" + "🜁" * 3000,
    ):
        yield random.choice(_screens())[0], LIGHT | {"changes": text}


def _controls(random: Random) -> Iterator[tuple[str, Query]]:
    known = list(names())
    for text in (
        "",
        " ",
        "nosuch",
        " ".join(f"no{i}" for i in range(10_000)),
        " ".join(known),
        " ".join(known * 50),
        " ".join(random.sample(known, 5)),
        "blocks,width",
        "🜁 \0 ../.. <script>",
        "." * LONG,
        "log_det.law.p",
        "data csv.x csv.y flow.name",
    ):
        yield random.choice(_screens())[0], LIGHT | {"controls": text}


def _files(random: Random) -> Iterator[tuple[str, Query]]:
    """Links to files of one's own, which are known by name and digest."""
    for k in range(16):
        flow = k % 2
        fields = FlowFile.__dataclass_fields__ if flow else CsvChoice.__dataclass_fields__
        given = {name: random.choice(FILE_NAMES) for name in fields if random.random() < 0.8}
        given["digest"] = DIGESTS[0] if k % 3 == 0 else random.choice(DIGESTS)
        if k % 3 == 0:
            given = {name: random.choice(FILE_NAMES[:4]) for name in fields} | {"digest": DIGESTS[0]}
        prefix = "flow." if flow else "csv."
        data = {} if flow else {"data": "csv"}
        yield random.choice(_screens())[0], LIGHT | data | {f"{prefix}{name}": value for name, value in given.items()}


def _drawings(random: Random) -> Iterator[tuple[str, Query]]:
    """Drawings that are cut off, forged, too long or too little, or asked for in other ways."""
    whole = Drawing((Stroke(0, 2, tuple((200 + 9 * k, 300 + 5 * k * k % 80) for k in range(40))),)).text
    far = Stroke(1, 4, tuple((k * 7 % 120, k * 11 % 120) for k in range(1_300)))
    for text in (
        whole,
        whole[:-7],
        whole[:20] + "AAAA" + whole[24:],
        whole + "AA",
        "",
        "A",
        "_" * 4_096,
        "A" * LONG,
        "../../etc/passwd",
        "<script>alert(1)</script>",
        "🜁 \0",
        to_text([Stroke(0, 0, ((500, 500),))]),
        to_text([Stroke(0, 0, ((500, 500),) * 30)]),
        to_text([Stroke(3, 31, ((1023, 1023),))]),
        to_text([far]),
    ):
        yield random.choice(_screens())[0], LIGHT | {"data": "drawing", "drawing": text}
    yield SETTINGS, LIGHT | {"data": "drawing"}
    yield SETTINGS, LIGHT | {"data": "moons", "drawing": whole}
    yield "", {"data": "drawing", "drawing": whole[:-1], "controls": "blocks"}


def _lessons(random: Random) -> Iterator[tuple[str, Query]]:
    for k in range(18):
        screen = "learn" if k % 2 else random.choice(_screens())[0]
        place = {"lesson": LESSONS[k % len(LESSONS)], "step": random.choice(STEPS), "lang": random.choice(LANGUAGES)}
        yield screen, place | (LIGHT if random.random() < 0.5 else {})


def _reading(random: Random) -> Iterator[tuple[str, Query]]:
    """At the pages to read, which have no settings."""
    for screen in ("", "learn", "glossary", "paper"):
        for value in random.sample(list(VALUES.values()), 3):
            yield screen, {"seed": value(random), "term": value(random), value(random)[:200]: "1"}


def _teaching(random: Random) -> Iterator[tuple[str, Query]]:
    """At the page for teachers, which knows lessons by their names."""
    for lesson in LESSONS:
        yield "teach", {"lesson": lesson, "step": random.choice(STEPS)}


def _screens() -> list[tuple[str, str]]:
    """Those with settings, and what the names of their own begin with."""
    benches = [(prefix.rstrip(".").replace("bench", "estimator"), prefix) for prefix in BENCHES]
    return [(SETTINGS, ""), *benches]


KINDS: dict[str, Callable[[Random], Iterator[tuple[str, Query | str]]]] = {
    "values": _values,
    "limits": _limits,
    "views": _views,
    "paths": _unknown_paths,
    "parameters": _parameters,
    "steps": _steps,
    "changes": _changes,
    "controls": _controls,
    "files": _files,
    "drawings": _drawings,
    "lessons": _lessons,
    "reading": _reading,
    "teaching": _teaching,
}
