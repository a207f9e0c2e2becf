"""Trees as texts that `parse` reads back as the same trees, and as LaTeX."""

from collections.abc import Mapping
from fractions import Fraction

from resflow_core.expressions.tree import Call, Node, Number, Power, Symbol

SYMBOLS = {"pi": r"\pi"}
SUM, PRODUCT, FACTOR, POWER, ATOM = range(5)
LEVEL = {"+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "neg": FACTOR}


def _level(node: Node) -> int:
    return POWER if isinstance(node, Power) else LEVEL.get(node.name, ATOM) if isinstance(node, Call) else ATOM


def unparse(node: Node) -> str:
    """A text that `parse` reads as this tree."""

    def within(part: Node, least: int) -> str:
        return f"({unparse(part)})" if _level(part) < least else unparse(part)

    if isinstance(node, Number):
        return decimal(node.value)
    if isinstance(node, Symbol):
        return node.name
    if isinstance(node, Power):
        plain = node.exponent.denominator == 1 and node.exponent > 0
        return f"{within(node.base, ATOM)}^{node.exponent if plain else f'({node.exponent})'}"
    if node.name == "neg":
        return f"-{within(node.parts[0], FACTOR)}"
    if node.name in LEVEL:
        level, (a, b) = LEVEL[node.name], node.parts
        return f"{within(a, level)} {node.name} {within(b, level + 1)}"
    return f"{node.name}({', '.join(map(unparse, node.parts))})"


def latex(node: Node, macros: Mapping[str, str]) -> str:
    """The tree in LaTeX. `macros` has the LaTeX names of functions that have one."""

    def within(part: Node, least: int) -> str:
        inner = latex(part, macros)
        return rf"\left({inner}\right)" if _level(part) < least else inner

    if isinstance(node, Number):
        mantissa, _, exponent = decimal(node.value).partition("e")
        return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa
    if isinstance(node, Symbol):
        return SYMBOLS.get(node.name, node.name)
    if isinstance(node, Power):
        return f"{within(node.base, ATOM)}^{{{node.exponent}}}"
    parts = node.parts
    if node.name == "neg":
        return f"-{within(parts[0], POWER)}"
    if node.name == "/":
        return rf"\frac{{{latex(parts[0], macros)}}}{{{latex(parts[1], macros)}}}"
    if node.name in LEVEL:
        level = LEVEL[node.name]
        sign = r"\," if node.name == "*" else node.name
        if node.name == "*" and isinstance(parts[1], Number | Power) and _begins_with_digit(parts[1]):
            sign = r"\cdot"
        # A sign must not stand beside another one.
        least = POWER if _level(parts[1]) == FACTOR else level + 1
        return f"{within(parts[0], level)} {sign} {within(parts[1], least)}"
    inner = ", ".join(latex(part, macros) for part in parts)
    if node.name == "sqrt":
        return rf"\sqrt{{{inner}}}"
    if node.name == "abs":
        return rf"\left|{inner}\right|"
    name = macros.get(node.name, rf"\operatorname{{{node.name}}}")
    return rf"{name}\left({inner}\right)"


def _begins_with_digit(node: Node) -> bool:
    return isinstance(node, Number) or (isinstance(node, Power) and isinstance(node.base, Number))


def decimal(value: Fraction) -> str:
    """The exact decimal text of a number that was written as a decimal."""
    digits, places = value, 0
    while digits.denominator != 1:
        digits, places = digits * 10, places + 1
    text = str(int(digits))
    if places > 8 and len(text) <= places:
        shift = len(text) - 1 - places
        return f"{text[0]}{'.' + text[1:] if len(text) > 1 else ''}e{shift}"
    return text if not places else f"{text[:-places] or '0'}.{text[-places:].rjust(places, '0')}"


def cut(text: str, most: int = 60) -> str:
    """A text for a sentence, cut to at most `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def shown(node: Node) -> str:
    """A part of a formula as text for a sentence, cut if it is long."""
    return cut(unparse(node))
