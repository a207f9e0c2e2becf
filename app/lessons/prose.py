"""Numbers in prose: computed when they are drawn, {{bias(3):+.4f}}, and found where they are not. They are written as
the language of the prose writes them."""

import re
from collections.abc import Set

from app.lessons.expression import Expression, Names
from app.lessons.words import Wording, wording
from app.text import escaped, signed

PLACEHOLDER = re.compile(r"\{\{(.+?)\}\}")
FORMAT = re.compile(r"^(?P<expression>.+?)(?::(?P<spec>[+,]*(?:\.\d+)?[efg%]|,?d))?$")
UNKNOWN = "…"
# Of what a learner typed, or a file of progress holds.
MOST_ANSWER = 100
LOOSE = re.compile(r"(?<![\w.])(?<!_\{)(?:\d+(?:\.\d+)?e[+-]?\d+|\d+\.\d+|\d{1,3}(?:,\d{3})+|\d{2,})")
COMMA = re.compile(r"(?<=\d)(?:\{,\}|,)(?=\d)")
POINT = re.compile(r"(?<![\w.])\d+\.\d+(?![\w.]|-)")
THOUSANDS = re.compile(r"^([1-9]\d{0,2})\.(?=\d{3}$)")
CODE = re.compile(r"`[^`\n]*`")


def expressions(text: str) -> list[tuple[Expression, str]]:
    """Those of a text, with their formats. Raises ValueError."""
    found = []
    if "{{" in PLACEHOLDER.sub("", text):
        raise ValueError("`{{` has no `}}` in its line.")
    for inside in PLACEHOLDER.findall(text):
        match = FORMAT.match(inside.strip())
        found.append((Expression(match["expression"].strip()), match["spec"] or ".4g"))
    return found


def rendered(text: str, names: Names, words: Wording | None = None) -> str:
    """A text with its numbers. What is not known yet is three dots. Raises ValueError."""
    words = words or wording()
    values = iter([(expression.of(names), spec) for expression, spec in expressions(text)])
    parts, maths = [], False
    for index, part in enumerate(re.split(r"(\{\{.+?\}\})", text)):
        if index % 2:
            value = _shown(*next(values), words, maths)
            parts.append(value if maths else signed(value))
        else:
            parts.append(part)
            maths ^= part.replace(r"\$", "").replace("$$", "$").count("$") % 2 == 1
    return "".join(parts)


def is_known(text: str, names: Names) -> bool:
    """Whether all its numbers are."""
    return UNKNOWN not in rendered(text, names).replace(UNKNOWN, "", text.count(UNKNOWN))


def loose_numbers(text: str, tied: Set[str] = frozenset(), words: Wording | None = None) -> list[str]:
    """Numbers that nothing ties to anything: with a decimal point or several digits, and no citation."""
    words = words or wording()
    left = words.cited.sub(" ", PLACEHOLDER.sub(" ", text))
    if not words.has_comma:
        return [number for number in numbers(left) if number not in tied]
    # Controls are named as they are on the screen: *Draw 10,000*.
    found = numbers(COMMA.sub(".", left))
    return [number for number in found if tied.isdisjoint({number, THOUSANDS.sub(r"\1", number)})]


def points(text: str, words: Wording) -> list[str]:
    """Numbers with a decimal point where the language has another sign; code is written as it is typed."""
    return POINT.findall(words.cited.sub(" ", CODE.sub(" ", PLACEHOLDER.sub(" ", text)))) if words.has_comma else []


def numbers(text: str) -> list[str]:
    """Those with a decimal point or several digits, without the commas between thousands."""
    return [number.replace(",", "") for number in LOOSE.findall(text)]


def _shown(value: object, spec: str, words: Wording, maths: bool) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return words.say("is_true" if value else "is_false")
    if not isinstance(value, int | float):
        return escaped(signed(str(value)), MOST_ANSWER)
    if value in (float("inf"), float("-inf")):
        return "\N{INFINITY}"
    return words.number(format(round(value) if spec.endswith("d") else value, spec), maths)
