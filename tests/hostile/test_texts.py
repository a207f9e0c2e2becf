"""Links and texts that are meant to hold the server or to break something: each is answered in a sentence, and the rest
of a link holds."""

import pytest

from app.channel import wanted
from app.drawing import Drawing
from app.drawing.strokes import Stroke
from app.drawing.text import to_text
from app.estimates import pasted
from app.estimates.coins import parsed
from app.features.activations.settings import formula_problem, names_problem
from app.features.lipschitz import changes
from app.lessons.progress import from_file
from app.link import parse, query_of, read_link
from app.numbers import parsed_number
from app.setup import Setup
from resflow_core.api import flow_file
from resflow_core.expressions import read
from resflow_core.roulette import Custom
from resflow_core.settings import settings_of

LENGTHS = (1, 300, 30_000)
LONGEST_SENTENCE = 1_000
DRAWN = to_text([Stroke(0, 2, tuple((200 + 9 * k, 300 + 5 * k * k % 80) for k in range(40)))])

LINKS = {
    "digits for a whole number": lambda n: {"blocks": "9" * 2 * n},
    "digits of other scripts": lambda n: {"blocks": "٣½Ⅻ" * n},
    "an exponent of digits": lambda n: {"budget": "1e-" + "9" * n},
    "no number": lambda n: {"learning_rate": "nan", "clip": "inf", "batch": "many"},
    "markup": lambda n: {"data": "<script>alert(1)</script>" * n, "device": "](javascript:alert(1))"},
    "broken bytes": lambda n: {"activation": "%ff%fe\0" * n, "norms": "\U0010ffff\u202e" * n},
    "a path": lambda n: {"flow.name": "../" * n + "etc/passwd", "flow.digest": "../../x"},
    "a fraction with a huge exponent": lambda n: {"bench.matrix": f"1e{n}/3 0 0 0 0"},
    "a formula": lambda n: {"activation": "=" + "sin(" * n},
    "a formula of code": lambda n: {"activation": "=__import__('os').system('x')"},
    "controls": lambda n: {"controls": " ".join(f"x{i}" for i in range(n))},
    "changes that are none": lambda n: {"changes": ";:," * n},
    "changes in no order": lambda n: {"changes": "9:batch=64;9:batch=65;-1:batch=8;x:batch=8"},
    "changes to no number": lambda n: {"changes": "1:learning_rate=nan;2:clip=-1;3:batch=1e9"},
    "a drawing that was cut off": lambda n: {"data": "drawing", "drawing": DRAWN[:-7]},
    "a drawing of letters": lambda n: {"data": "drawing", "drawing": "A" * n},
    "unknown settings": lambda n: {f"x{i}": "1" for i in range(n)},
}
"""Links of a length; of each something is refused."""


@pytest.mark.parametrize("attack", LINKS.values(), ids=LINKS)
def test_a_hostile_link_is_refused_in_sentences_and_the_rest_holds(attack):
    for length in LENGTHS:
        query = attack(length)
        found = read_link({"width": "8", "seed": "7"} | query)
        assert found.refused and all(0 < len(sentence) < LONGEST_SENTENCE for sentence in found.refused)
        assert (found.setup.flow.width, found.setup.seed) == (8, 7)
        default = Setup()
        assert found.setup.train == default.train and found.setup.flow.blocks == default.flow.blocks
        again = query_of(found.setup, found.csv, found.flow, found.benches, found.controls)
        assert not read_link(again).refused or "drawing" in query


def numbers(text):
    """As the page asks for a row of numbers."""
    field, limits = settings_of(Custom)["table"]
    return parse(text, field.type, limits)


TAKEN = {
    "an entry of a matrix": (parsed_number, lambda n: "\N{MINUS SIGN}" * n),
    "a pasted matrix": (pasted.matrix, lambda n: "[" * n),
    "coins": (lambda text: parsed(text, 3), lambda n: "3+ ," * n + "x"),
    "a formula": (read, lambda n: "(" * n),
    "the bench's formula": (formula_problem, lambda n: "9" * n),
    "names of activations": (names_problem, lambda n: "," * n),
    "a page's first words": (wanted, lambda n: "[" * n),
    "strokes": (Drawing.of_rows, lambda n: [[0, 0, 10 ** min(9 * n, 4_000), 1]]),
    "lists of strokes": (Drawing.of_rows, lambda n: [[[]] * n]),
    "changed weights": (changes.problem, lambda n: "w" + "1." * n),
}
"""What takes a text of a visitor, and texts of a length that are nothing of the kind."""


@pytest.mark.parametrize(("answer", "attack"), TAKEN.values(), ids=TAKEN)
def test_a_hostile_text_is_refused_in_a_sentence_or_taken_for_nothing(answer, attack):
    for length in LENGTHS:
        try:
            found = answer(attack(length))
        except ValueError as error:
            found = str(error)
        assert not found or (isinstance(found, str) and len(found) < LONGEST_SENTENCE), found


LIMITS = {
    "a drawing": (lambda: Drawing.of_text("A" * 5_000), ("5,000", "4,096")),
    "dots of a drawing": (lambda: Drawing.of_rows([[0, 0, *[1] * 40_002]]), ("20,001", "20,000")),
    "coins": (lambda: parsed("3+ " * 10_000, 3), ("30,000", "20,000")),
    "a flow's header": (
        lambda: flow_file.from_bytes((2**20 + 1).to_bytes(8, "little") + b" " * 2**21),
        ("1,048,577", "1,048,576"),
    ),
    "a formula": (lambda: read("z" * 300), ("300", "200")),
    "progress": (lambda: from_file(b" " * (2**20 + 1)), ("1,048,577", "1,048,576")),
}


@pytest.mark.parametrize(("answer", "says"), LIMITS.values(), ids=LIMITS)
def test_what_is_longer_than_allowed_is_refused_with_its_length_and_the_limit(answer, says):
    with pytest.raises(ValueError) as error:
        answer()
    assert all(part in str(error.value) for part in says)


def test_a_row_of_numbers_ends_at_its_limit():
    assert numbers(" ".join(["0.5"] * 50)) == (0.5,) * 50
    assert isinstance(numbers("0.5 " * 2_000), str)  # it is told then what a row has
