"""Words and languages of lessons: each language has the texts that the panel says, and each lesson in it all that there
is to read; numbers are written as the language writes them; a third language is files alone."""

import ast
import re
import shutil
from pathlib import Path

import pytest
import yaml

from app.classroom.page import WORDS
from app.features.learn.blocks import Words
from app.lessons.prose import loose_numbers, rendered
from app.lessons.raw import Wrong, read_raw
from app.lessons.reading import KINDS, read
from app.lessons.shelf import measured, shelf
from app.lessons.words import FOLDER, LISTS, ORIGINAL, check_measured, languages, wording
from app.ui.glossary import entries, linked
from tests.app.pages import own
from tests.app.test_learn import guess, opened, press, said
from tests.app.test_lessons import situation

ROOT = Path(__file__).parents[2]
GERMAN = wording("de")
TRANSLATED = [(language, name) for language, there in shelf().lessons.items() if language != ORIGINAL for name in there]
SPEAKING = [
    "features/learn", "features/teach", "features/glossary", "session/lesson.py", "ui/lesson_list.py", "lessons",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    for file in FOLDER.glob("words*.yaml"):
        shutil.copy(file, tmp_path)
    return tmp_path


def rewritten(folder, change, language="de"):
    file = folder / f"words.{language}.yaml"
    texts = yaml.safe_load((FOLDER / "words.de.yaml").read_text())
    change(texts)
    file.write_text(yaml.safe_dump(texts, allow_unicode=True))
    return file


# --- the words --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", languages())
def test_each_language_has_what_the_panel_says_and_nothing_else(language):
    found = wording(language)
    assert found.language == language
    assert found.texts.keys() == wording().texts.keys() and found.lists.keys() == LISTS
    if language != ORIGINAL:
        check_measured(found, measured(shelf().originals.values()))


@pytest.mark.thorough
def test_every_text_is_said_somewhere_and_every_text_that_is_said_is_there():
    files = [
        file for place in SPEAKING for path in [ROOT / "app" / place] for file in sorted(path.rglob("*.py")) or [path]
    ]
    said_in_code = {
        node.value
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    # What the pages of a room say is in their scripts (`test_classroom`).
    assert {key for key in wording().texts if not key.startswith(WORDS)} <= said_in_code
    calls = {
        node.args[0].value
        for file in files
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)
        and (getattr(node.func, "attr", "") or getattr(node.func, "id", "")) == "say"
    }  # fmt: skip
    assert len(calls) > 40 and calls <= wording().texts.keys()


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda texts: texts.pop("commit"), "missing commit"),
        (lambda texts: texts.update(mood="gut"), "surplus mood"),
        (lambda texts: texts.pop("measured"), "missing measured"),
        (lambda texts: texts.update(step_of="Schritt {step}"), "`step_of` {step}, {steps}"),
        (lambda texts: texts.update(commit="Fest {x}"), "`commit` {names}"),
        (lambda texts: texts.update(commit="Fest {"), "`commit` {names}"),
        (lambda texts: texts.update(commit=["Fest"]), "`commit: text"),
        (lambda texts: texts.update(cited="Abschnitt"), "`cited: list"),
        (lambda texts: texts.update(measured={"bias": "Verzerrung"}), "`bias` `measured` {value}"),
    ],
)
def test_what_is_wrong_with_a_file_of_words_is_named(folder, change, names):
    rewritten(folder, change)
    with pytest.raises(Wrong, match=r"^words\.de\.yaml:\d+: ") as wrong:
        wording("de", folder)
    assert not [part for part in names.split() if part not in str(wrong.value)], wrong.value


@pytest.mark.parametrize(
    ("change", "names"),
    [(lambda m: m.pop("bias"), "missing `measured` bias"), (lambda m: m.update(mood="{value}"), "surplus mood")],
)
def test_so_with_what_checks_measure(folder, change, names):
    rewritten(folder, lambda texts: change(texts["measured"]))
    with pytest.raises(Wrong, match=r"^words\.de\.yaml:") as wrong:
        check_measured(wording("de", folder), measured(shelf().originals.values()), folder)
    assert not [part for part in names.split() if part not in str(wrong.value)], wrong.value


def test_a_third_language_is_files_alone(folder):
    rewritten(folder, lambda texts: texts.update(language="Français", commit="Valider"), "fr")
    for name in ("04-series.md", "05-roulette.md"):
        shutil.copy(FOLDER / name, folder)
    (folder / "04-series.fr.md").write_text("---\ntitle: Une série\n---\n")
    assert languages(folder) == (ORIGINAL, "de", "fr")
    assert wording("fr", folder).say("commit") == "Valider"
    found = shelf(folder)
    assert found.languages("series") == (ORIGINAL, "fr") and found.languages("roulette") == (ORIGINAL,)
    assert found.lesson("series", "fr").language == "fr" and found.lesson("roulette", "fr").language == ORIGINAL
    assert any("words.fr.yaml" in problem for problem in found.problems), "the app itself has no such words"


def test_a_language_without_words_speaks_as_the_lessons_were_written():
    assert wording("xx") is wording() is wording("")
    assert wording("../../") is wording("x" * 5000) is wording()


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "maths", "written"),
    [
        ("0.45", False, "0,45"), ("-1,234.5", False, "-1\u202f234,5"), ("12", False, "12"),
        ("0.45", True, "0{,}45"), ("1,234.5", True, r"1\,234{,}5"), ("1.5e-07", False, "1,5e-07"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_the_language_writes_them(text, maths, written):
    assert GERMAN.number(text, maths) == written
    assert wording().number(text, maths) == text


def test_computed_numbers_are_so_in_prose_and_in_formulas():
    at = situation(n_terms=7)
    text = "Um {{0.5:+.2f}}, $a = {{-0.25}}$, {{1374.6:,d}}, {{0.000015:.1e}}, {{bench.n_terms}}, {{throws > 3}}"
    shown = rendered(text, at, GERMAN)
    assert shown == "Um +0,50, $a = -0{,}25$, 1\u202f375, 1,5·10⁻⁵, 7, nein"
    assert rendered("{{mean}}", at, GERMAN) == "…"


def test_a_number_of_german_prose_is_tied_too_and_a_citation_is_none():
    assert loose_numbers("Es sind 0,25 und $0{,}75$ nats.", frozenset(), GERMAN) == ["0.25", "0.75"]
    assert loose_numbers("Es sind 0,25 und $0{,}75$ nats.", {"0.25", "0.75"}, GERMAN) == []
    assert loose_numbers("Drücke *Draw 10,000*.", {"10000"}, GERMAN) == []
    assert loose_numbers("Drücke *Draw 10,000*.", {"1000"}, GERMAN) == ["10.000"]
    assert loose_numbers("Gleichung 12 und 13, Abschnitt 3.1, Satz 10, section 3.1", frozenset(), GERMAN) == []


@pytest.mark.parametrize("text", ["Es sind 0.001 nats.", "Es ist $x = 0.001$."])
def test_a_decimal_point_in_german_prose_is_refused(tmp_path, text):
    shutil.copy(FOLDER / "04-series.md", tmp_path)
    file = tmp_path / "04-series.de.md"
    file.write_text(f"---\ntitle: Eine\n---\n\n::: text one-sign\n{text}\n:::\n")
    with pytest.raises(Wrong, match=r"^04-series\.de\.md:5: .*0,001"):
        read(file)
    file.write_text(file.read_text().replace(text, "Siehe Abschnitt 3.1, tippe `0.2`, Bild {{bias(1):.3f}}."))
    read(file)


# --- lessons ----------------------------------------------------------------------------------------------------------


def prose(text):
    """What of a text is in a language: without formulas, computed numbers and tags."""
    return re.sub(r"\{\{.+?\}\}|\$\$.+?\$\$|\$[^$]+\$|&\w+;|`[^`]*`|\bnats?\b", " ", text, flags=re.DOTALL)


def has_words(text):
    return bool(re.search(r"[^\W\d_]{2,}", prose(text)))


def parts(fields):
    """Each text of some fields, by where it stands."""
    for name, value in fields.values.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{key}", str(text)) for key, text in value.items())
        else:
            yield name, str(value)


@pytest.mark.parametrize(("language", "name"), TRANSLATED)
def test_a_translation_says_all_that_there_is_to_read(language, name):
    original, translation = shelf().originals[name], shelf().lessons[language][name]
    (front, raws), (new_front, new_raws) = (read_raw(one.path, KINDS) for one in (original, translation))
    assert new_front.values.keys() == {"title", "level", "objectives", "key_points"}
    assert all(len(new_front.values[one]) == len(front.values[one]) for one in ("objectives", "key_points"))
    new = {raw.id: raw for raw in new_raws}
    for raw in raws:
        texts = [("", raw.text)]
        texts += [(at, text) for at, text in parts(raw.fields) if at.partition(".")[0] in KINDS[raw.kind].texts]
        for at, text in texts:
            if not has_words(text):
                continue
            assert raw.id in new, f"{raw.id} is not translated"
            given = new[raw.id].text if not at else dict(parts(new[raw.id].fields)).get(at)
            is_name = " " not in text
            assert given and (given != text or is_name), f"{raw.id} {at} is not translated"
    assert [raw.id for raw in new_raws] == [raw.id for raw in raws if raw.id in new], "in another order"


@pytest.mark.parametrize(("language", "name"), TRANSLATED)
def test_a_translation_asks_for_no_other_numbers(language, name):
    """A number that the original does not show before a question could give its answer away."""
    original, translation = shelf().originals[name], shelf().lessons[language][name]
    for id, block in original.blocks.items():
        asked = set(re.findall(r"\{\{(.+?)\}\}", block.text))
        assert set(re.findall(r"\{\{(.+?)\}\}", translation.blocks[id].text)) <= asked, id


# --- the page ---------------------------------------------------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.usefixtures("local_engine")
class TestPage:
    def test_the_panel_speaks_the_language_of_the_lesson(self):
        page = opened(lesson="series", step="start", lang="de")
        assert "Lektion 4" in page.title[0].value and shelf().lessons["de"]["series"].title in page.title[0].value
        assert page.button(key="lesson.series.one.commit").label == GERMAN.say("commit")
        assert GERMAN.say("covered") in said(page)
        assert page.slider(key="lesson.series.one").label.endswith("(nats), −0,20 bis 0,20")
        guess(page, "series.one", 0.1)
        assert "0,05391" in said(page) and "0,6500" in said(page)
        shown = said(page)
        for key, text in wording().texts.items():
            if len(text) > 12 and "{" not in text and text != GERMAN.texts[key]:
                assert text not in shown, key

    def test_a_check_says_what_it_measured_in_the_language(self):
        page = opened(lesson="series", step="terms", lang="de")
        page.radio(key="lesson.series.slow").set_value("factor").run()
        press(page, "lesson.series.slow.commit")
        press(page, "lesson.series.enough.check")
        (warning,) = page.warning
        assert re.search(r"Verzerrung .*: −?0,0\d+ nats\)", warning.value), warning.value

    def test_the_language_is_chosen_in_the_menu_and_in_the_list_and_stays(self):
        page = opened(lesson="series", step="start")
        assert page.selectbox(key="lesson.language").options == ["English", "Deutsch"]
        page.selectbox(key="lesson.language").select("de").run()
        assert page.button(key="lesson.next").label == GERMAN.say("next")
        assert page.query_params["lang"] == "de"
        page = opened("learn")
        assert shelf().originals["series"].title in labels(page)
        page.selectbox(key="learn.language").select("de").run()
        assert own(page).language == "de" and page.title[0].value == GERMAN.say("list_title")
        assert shelf().lessons["de"]["series"].title in labels(page)
        queries = [link.proto.query_string for link in links(page)]
        assert all("lang=de" in query for query in queries if "lesson=" in query)
        assert any("lesson=" in query for query in queries)


def links(page):
    return [element for element in page.main if element.type == "page_link"]


def labels(page):
    return "\n".join(link.proto.label for link in links(page))


# --- the glossary -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", [one for one in languages() if entries(one) != entries()])
def test_a_glossary_has_each_word_of_the_original_and_no_other(language):
    assert sorted(entry.original for entry in entries(language)) == sorted(entry.word for entry in entries())
    assert {entry.slug for entry in entries(language)} == {entry.slug for entry in entries()}


def test_links_lead_to_the_glossary_of_the_language():
    shown = linked("Die Spur der Matrix", entries("de"), language="de")
    assert "[Spur](glossary?lang=de#trace " in shown
    assert Words(situation()).to_read("The trace").startswith("The [trace](glossary#trace ")
    assert entries("xx") == entries("../../") == entries()
