"""Numbers in prose: computed when they are drawn, {{bias(3):+.4f}}, and found where they are not."""

import re
from collections.abc import Collection

from app.lessons.expression import Expression, Names
from app.text import escaped, signed

PLACEHOLDER = re.compile(r"\{\{(.+?)\}\}")
FORMAT = re.compile(r"^(?P<expression>.+?)(?::(?P<spec>[+,]*(?:\.\d+)?[efg%]|,?d))?$")
UNKNOWN = "…"
# Of what a learner typed, or a file of progress holds.
MOST_ANSWER = 100
# Of the paper, other books and lessons.
CITED = re.compile(
    r"(?:equations?|eqs?\.|figures?|tables?|theorems?|sections?|appendix|lessons?|NeurIPS|ICML|ICLR|\w+ et al\.,?)\s*"
    r"(?:[A-Z]\.)?\(?\d+(?:\.\d+)*\)?(?:(?:,| and| to)\s*\(?\d+(?:\.\d+)*\)?)*|\((?:19|20)\d\d\)",
    re.IGNORECASE,
)
LOOSE = re.compile(r"(?<![\w.])(?<!_\{)(?:\d+(?:\.\d+)?e[+-]?\d+|\d+\.\d+|\d{1,3}(?:,\d{3})+|\d{2,})")


def expressions(text: str) -> list[tuple[Expression, str]]:
    """Those of a text, with their formats. Raises ValueError."""
    found = []
    if "{{" in PLACEHOLDER.sub("", text):
        raise ValueError("`{{` has no `}}` in its line.")
    for inside in PLACEHOLDER.findall(text):
        match = FORMAT.match(inside.strip())
        found.append((Expression(match["expression"].strip()), match["spec"] or ".4g"))
    return found


def rendered(text: str, names: Names) -> str:
    """A text with its numbers. What is not known yet is three dots. Raises ValueError."""
    values = iter([_shown(expression.of(names), spec) for expression, spec in expressions(text)])
    parts, maths = [], False
    for index, part in enumerate(re.split(r"(\{\{.+?\}\})", text)):
        if index % 2:
            value = next(values)
            parts.append(value if maths else signed(value))
        else:
            parts.append(part)
            maths ^= part.replace(r"\$", "").replace("$$", "$").count("$") % 2 == 1
    return "".join(parts)


def is_known(text: str, names: Names) -> bool:
    """Whether all its numbers are."""
    return UNKNOWN not in rendered(text, names).replace(UNKNOWN, "", text.count(UNKNOWN))


def loose_numbers(text: str, tied: Collection[str] = ()) -> list[str]:
    """Numbers that nothing ties to anything: with a decimal point or several digits, and no citation."""
    return [number for number in numbers(CITED.sub(" ", PLACEHOLDER.sub(" ", text))) if number not in tied]


def numbers(text: str) -> list[str]:
    """Those with a decimal point or several digits, without the commas between thousands."""
    return [number.replace(",", "") for number in LOOSE.findall(text)]


def _shown(value: object, spec: str) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return escaped(signed(str(value)), MOST_ANSWER)
    if value in (float("inf"), float("-inf")):
        return "\N{INFINITY}"
    return format(round(value) if spec.endswith("d") else value, spec)
