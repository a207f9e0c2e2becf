"""The glossary: what is wrong with its file is named by line, and texts are linked where they should be."""

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import engine
from app.ui.glossary import entries, linked, read

MAIN = Path(__file__).parents[2] / "app" / "page.py"
ENTRIES = tuple(
    read(
        "## block\nAlso: blocks, residual block\n\nA map. $\\frac{1}{2}$ of it.\n\n"
        '## law of N\n\nSays $P(N\\ge k)$, "how long".\n\n## KL\n\nAlways $\\ge 0$.\n',
        "words.md",
    )
)
BLOCK, LAW, KL = (
    '(glossary#block "A map.")',
    '(glossary#law-of-n "Says P(N ≥ k), \\"how long\\".")',
    '(glossary#kl "Always ≥ 0.")',
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("## a\nText.\n\n## b\nText.\n\n## A\nText.", "line 7: 'a' is there already, on line 1"),
        ("## a\nAlso: b\n\nText.\n\n## c\nAlso: d, B\n\nText.", "line 7: 'b' is there already, on line 2"),
        ("## a\nAlso: b, b\n\nText.", "line 2: 'b' is there already, on line 2"),
        ("## a b\nText.\n\n## a-b\nText.", "line 4: '#a-b' is there already, on line 1"),
        ("## a\nAlso: b\n\n## c\nText.", "line 1: 'a' has no definition"),
        ("## a\nAlso: b,, c\n\nText.", "line 2: a form of 'a' is empty"),
        ("## a\nText.\n\n### b\nText.", "line 4: begin a word with '## '"),
        ("Text.\n## a\nText.", "line 1: this text stands before the first word"),
        ("## a\nText.\n\n## \nText.", "line 4: the heading has no word"),
        ("## a\nHalf of it, $\\frac{1}{2}$. More.", "line 1: the first sentence about 'a' becomes a tooltip"),
    ],
)
def test_what_is_wrong_is_named_by_file_and_line(text, said):
    with pytest.raises(ValueError, match=f"words.md, {re.escape(said)}"):
        read(text, "words.md")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("A block, a block.", f"A [block]{BLOCK}, a block."),
        ("Residual\nblocks? Blocks!", f"Residual\n[blocks]{BLOCK}? Blocks!"),
        ("A Residual  block and blocks", f"A [Residual  block]{BLOCK} and blocks"),  # the longest form, once a word
        ("**law of n** of a block's", f"**[law of n]{LAW}** of a [block]{BLOCK}'s"),
        ("kl, then KL", f"kl, then [KL]{KL}"),  # capitals are part of an abbreviation
        ("blocked, sub-block, block-wise, block_1", "blocked, sub-block, block-wise, block_1"),
        (
            "`block` ``a ` block`` $block$ $$\nblock\n$$ {{block}}",
            "`block` ``a ` block`` $block$ $$\nblock\n$$ {{block}}",
        ),
        ("```python\nblock = 1\n```\nblock", f"```python\nblock = 1\n```\n[block]{BLOCK}"),
        (
            "# A block\n[a block](x) ![block](y) :material/block:",
            "# A block\n[a block](x) ![block](y) :material/block:",
        ),
        (
            "[a](b_(c)_block) https://block.org <https://block.org>",
            "[a](b_(c)_block) https://block.org <https://block.org>",
        ),
        (r"costs \$5 a block, \$6", rf"costs \$5 a [block]{BLOCK}, \$6"),
        (":gray[a block]", f":gray[a [block]{BLOCK}]"),
        ("", ""),
    ],
)
def test_the_first_occurrence_of_each_word_is_linked_and_nothing_else(text, wanted):
    assert linked(text, ENTRIES) == wanted


def test_every_definition_is_short_and_its_tooltip_is_plain():
    assert 45 <= len(entries()) <= 70
    for entry in entries():
        assert entry.text.count("$") % 2 == 0, entry.word
        sentences = re.findall(r"\.(?=\s+[A-Z$]|$)", entry.text)
        assert 1 <= len(sentences) <= 4, entry.word
        assert 10 < len(entry.summary) <= 160 and entry.summary.endswith("."), entry.word
        assert not set(entry.summary) & set("\\$*`{}|"), entry.summary
        assert entry.forms[0] in linked(f"The {entry.word} here.") and f"glossary#{entry.slug} " in linked(entry.word)


def test_the_screen_lists_all_words_and_finds_some(monkeypatch):
    monkeypatch.setattr(engine, "get_engine", lambda: pytest.fail("nobody asked for a flow"))
    page = AppTest.from_file(MAIN, default_timeout=60).switch_page("features/glossary/glossary.py").run()
    assert not page.exception, page.exception
    assert [h.value for h in page.header] == ["What do the words mean?"]
    words = [h.value for h in page.subheader]
    assert len(words) > 45 and words == sorted(words, key=str.lower)
    assert [h.proto.anchor for h in page.subheader] == [entry.slug for entry in entries()]
    assert not page.query_params
    page.text_input[0].input(" roulettes ").run()
    assert [h.value for h in page.subheader] == ["Russian roulette"]
    page.text_input[0].input("zzz").run()
    assert not page.subheader and "Try fewer" in page.info[0].value


def test_several_texts_share_their_links():
    done = set()
    first, second = (linked(text, done=done) for text in ("The trace of A.", "A trace and an eigenvalue."))
    assert "[trace](glossary#trace" in first
    assert "[trace]" not in second
    assert "[eigenvalue](glossary#eigenvalue" in second
