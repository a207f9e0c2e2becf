"""Every screen shows the numbers that it showed, and the words."""

import functools

import pytest

from tests.golden import printed, screens, wording
from tests.golden.stored import load

STORED = load(screens.NAME)["screens"]
FAST = {"explore", "home with settings", "stretch", "curves", "a step of a lesson"}


@pytest.fixture(autouse=True, scope="module")
def quick():
    with screens.quick():
        yield


# Both tests of a page are one process's, which opens it once.
LABELS = [
    pytest.param(label, marks=[pytest.mark.xdist_group(label), *([] if label in FAST else [pytest.mark.slow])])
    for label in STORED
]
seen = functools.cache(screens.seen)


@pytest.mark.thorough
@pytest.mark.parametrize("label", LABELS)
def test_a_screen_shows_the_numbers_that_it_showed(label):
    assert not screens.differences(STORED[label], seen(label))


@pytest.mark.thorough
@pytest.mark.parametrize("label", LABELS)
def test_a_screen_says_what_it_said(label):
    """After a copy edit: `python -m tests.golden.make --only screens`, and read the difference."""
    screen, *_ = screens.CASES[label]
    assert not wording.differences(wording.load(screen), label, seen(label)["words"])


@pytest.mark.parametrize(
    ("stored", "label", "found", "differ"),
    [
        ({"a": ["x", "y"], "b": ["z"]}, "b", ["z", "x"], False),
        ({"a": ["x", "y"], "b": ["z"]}, "a", ["x", "y", "z"], True),  # only a later case says it
        ({"a": ["x", "y"], "b": ["z"]}, "b", ["x"], True),
        ({"a": ["x", f"{wording.VARIES}y"]}, "a", ["x"], False),
        ({"a": ["x", f"{wording.VARIES}y"]}, "a", ["x", "y"], False),
    ],
)
def test_a_text_that_comes_or_goes_is_a_difference(stored, label, found, differ):
    assert bool(wording.differences(stored, label, found)) is differ


def test_of_a_text_numbers_and_times_are_left_out():
    said = "KL **0.12** ± 0.01 nats\n  after < 0.1 s, 1e-05"
    assert wording.blanked(said) == "KL **#** ± # nats ⏎ after #, #"


def test_every_case_is_stored_and_most_have_numbers():
    assert STORED.keys() == screens.CASES.keys()
    counts = [sum(map(len, page["shown"]["opened"].values())) for page in STORED.values()]
    assert sum(count > 5 for count in counts) > 25


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("From \N{MINUS SIGN}1,234.5 to 3.8·10⁻⁵ or 1e-05, 95 % of x1 in 2-3 places.", "-1,234.5 3.8e-5 1e-05 95% 2 3"),
        ("step **100** on CPU, **2,000** steps/s, **3 s** trained, about 0.5\N{NO-BREAK SPACE}ms", "100"),
        ("| flow | seconds trained | KL |\n| :-- | --: | --: |\n| a 2 | 1.5 | 0.25 |\nthen 7", "2 0.25 7"),
    ],
)
def test_numbers_are_found_without_times(text, found):
    assert printed.numbers(text) == found.split()


@pytest.mark.parametrize(
    ("stored", "found", "agree"),
    [
        ("0.30", "0.31", True), ("0.30", "0.32", False), ("12", "13", False), ("95%", "94%", True),
        ("95%", "93%", False), ("3.8e-5", "3.9e-5", True), ("3.8e-5", "3.8e-4", False), ("1,234", "1234", False),
        ("-0.5", "0.5", False), ("0.5", "0.55", False), ("0.374", "0.37", False), (printed.UNKNOWN, "7", True),
        ("4.062831598905936", "4.06283159890594", True), ("4.062831598905936", "4.062831598895936", False),
    ],
)  # fmt: skip
def test_one_unit_of_the_last_digit_is_no_difference(stored, found, agree):
    assert printed.agree(stored, found) is agree
