"""Words and languages of lessons: each language has the texts that the panel says, and each lesson in it all that there
is to read; numbers are written as the language writes them; a third language is files alone."""

import shutil

import pytest
import yaml

from app.features.learn.blocks import Words
from app.lessons.prose import loose_numbers, rendered
from app.lessons.raw import Wrong
from app.lessons.shelf import measured, shelf
from app.lessons.words import FOLDER, LISTS, ORIGINAL, check_measured, languages, wording
from app.ui.glossary import entries, linked
from tests.app.test_lessons import situation

GERMAN = wording("de")


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


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda texts: texts.pop("commit"), "missing commit"),
        (lambda texts: texts.update(mood="gut"), "surplus mood"),
        (lambda texts: texts.update(step_of="Schritt {step}"), "`step_of` {step}, {steps}"),
        (lambda texts: texts.update(commit="Fest {x}"), "`commit` {names}"),
        (lambda texts: texts.update(commit=["Fest"]), "`commit: text"),
        (lambda texts: texts.update(measured={"bias": "Verzerrung"}), "`bias` `measured` {value}"),
    ],
)
def test_what_is_wrong_with_a_file_of_words_is_named(folder, change, names):
    rewritten(folder, change)
    with pytest.raises(Wrong, match=r"^words\.de\.yaml:\d+: ") as wrong:
        wording("de", folder)
    assert not [part for part in names.split() if part not in str(wrong.value)], wrong.value


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


# --- the page ---------------------------------------------------------------------------------------------------------


# --- the glossary -----------------------------------------------------------------------------------------------------


def test_links_lead_to_the_glossary_of_the_language():
    shown = linked("Die Spur der Matrix", entries("de"), language="de")
    assert "[Spur](glossary?lang=de#trace " in shown
    assert Words(situation()).to_read("The trace").startswith("The [trace](glossary#trace ")
    assert entries("xx") == entries("../../") == entries()
