"""The glossary: what is wrong with its file is named by line, and texts are linked where they should be."""

import pytest
from streamlit.testing.v1 import AppTest

from app import engine
from app.ui.glossary import entries, linked, read
from tests.app.pages import MAIN

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
    ("text", "line", "named"),
    [
        ("## a\nText.\n\n## b\nText.\n\n## A\nText.", 7, ("'a'", "line 1")),
        ("## a\nAlso: b\n\nText.\n\n## c\nAlso: d, B\n\nText.", 7, ("'b'", "line 2")),
        ("## a b\nText.\n\n## a-b\nText.", 4, ("'#a-b'", "line 1")),
        ("## a\nAlso: b\n\n## c\nText.", 1, ("'a'", "definition")),
        ("## a\nText.\n\n### b\nText.", 4, ("'## '",)),
        ("## a\nText.\n\n## \nText.", 4, ("heading", "no word")),
        ("## a\nHalf of it, $\\frac{1}{2}$. More.", 1, ("'a'", "tooltip", "frac")),
    ],
)
def test_what_is_wrong_is_named_by_file_and_line(text, line, named):
    with pytest.raises(ValueError, match=f"^words.md, line {line}: ") as wrong:
        read(text, "words.md")
    assert all(part in str(wrong.value) for part in named)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Residual\nblocks? Blocks!", f"Residual\n[blocks]{BLOCK}? Blocks!"),
        ("A Residual  block, a block", f"A [Residual  block]{BLOCK}, a block"),  # the longest form, once a word
        ("**law of n** of a block's", f"**[law of n]{LAW}** of a [block]{BLOCK}'s"),
        ("kl, then KL", f"kl, then [KL]{KL}"),  # capitals are part of an abbreviation
        ("blocked, sub-block, block-wise, block_1", "blocked, sub-block, block-wise, block_1"),
        (
            "`block` ``a ` block`` $block$ $$\nblock\n$$ {{block}}",
            "`block` ``a ` block`` $block$ $$\nblock\n$$ {{block}}",
        ),
        (
            "# A block\n[a block](x) ![block](y) :material/block:",
            "# A block\n[a block](x) ![block](y) :material/block:",
        ),
        (
            "[a](b_(c)_block) https://block.org <https://block.org>",
            "[a](b_(c)_block) https://block.org <https://block.org>",
        ),
        (r"costs \$5 a block, \$6", rf"costs \$5 a [block]{BLOCK}, \$6"),
    ],
)
def test_the_first_occurrence_of_each_word_is_linked_and_nothing_else(text, wanted):
    assert linked(text, ENTRIES) == wanted


def test_every_word_is_linked_to_its_definition_once_in_texts_that_share_their_links():
    assert len(entries()) > 45
    assert all(f"glossary#{entry.slug} " in linked(entry.word) and entry.summary for entry in entries())
    done = set()
    first, second = (linked(text, done=done) for text in ("The trace of A.", "A trace and an eigenvalue."))
    assert "[trace](glossary#trace" in first
    assert "[trace]" not in second and "[eigenvalue](glossary#eigenvalue" in second


def test_the_screen_lists_all_words_and_finds_some(monkeypatch):
    monkeypatch.setattr(engine, "get_engine", lambda: pytest.fail("nobody asked for a flow"))
    page = AppTest.from_file(MAIN, default_timeout=600).switch_page("features/glossary/glossary.py").run()
    assert not page.exception, page.exception
    assert [h.proto.anchor for h in page.header] == [entry.slug for entry in entries()]
    page.text_input(key="glossary.filter").input(" roulettes ").run()
    assert [h.proto.anchor for h in page.header] == ["russian-roulette"]
    page.text_input(key="glossary.filter").input("zzz").run()
    assert not page.header and len(page.info) == 1
