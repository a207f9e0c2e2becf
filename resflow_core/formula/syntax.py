"""Formulas in z as text, as trees, and as LaTeX. A text is read by the grammar below and never run.

sum     = product (("+" | "-") product)*
product = factor (("*" | "/") factor)*
factor  = "-" factor | power
power   = atom (("^" | "**") factor)?                         where the exponent is a rational number
atom    = number | "z" | "pi" | "e" | name "(" sum ("," sum)* ")" | "(" sum ")"
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

MOST_CHARACTERS = 200
MOST_DEPTH = 20
MOST_NODES = 60
MOST_EXPONENT = 64
LARGEST, SMALLEST = Fraction(10) ** 12, Fraction(1, 10**12)

CONSTANTS = {"pi": r"\pi", "e": "e"}
TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<name>[A-Za-z_][A-Za-z_0-9]*)"
    r"|(?P<sign>\*\*|[-+*/^(),]))"
)
ALIKE = str.maketrans({"−": "-", "×": "*", "·": "*", "π": "pi"})


@dataclass(frozen=True)
class Number:
    """A number as it was written, exactly."""

    value: Fraction


@dataclass(frozen=True)
class Symbol:
    """z, pi or e."""

    name: str


@dataclass(frozen=True)
class Power:
    """A part to a constant rational power."""

    base: "Node"
    exponent: Fraction


@dataclass(frozen=True)
class Call:
    """A function of its parts; "+", "-", "*", "/" of two and "neg" of one are functions too."""

    name: str
    parts: tuple["Node", ...]


Node = Number | Symbol | Power | Call
Z = Symbol("z")


def parts_of(node: Node) -> tuple[Node, ...]:
    """The parts that a node is made of."""
    return node.parts if isinstance(node, Call) else (node.base,) if isinstance(node, Power) else ()


def depends_on_z(node: Node) -> bool:
    """Whether z stands in it."""
    return node == Z or any(map(depends_on_z, parts_of(node)))


def size(node: Node) -> int:
    """The number of nodes."""
    return 1 + sum(map(size, parts_of(node)))


def rational(node: Node) -> Fraction | None:
    """The value of a constant made of numbers by + - * / and powers, exactly; None if it is none, or is huge."""
    if isinstance(node, Number):
        return node.value
    values = [rational(part) for part in parts_of(node)]
    if None in values or not values:
        return None
    if isinstance(node, Power):
        (base,) = values
        small = node.exponent.denominator == 1 and abs(node.exponent) <= MOST_EXPONENT
        value = base ** int(node.exponent) if small and (base or node.exponent > 0) else None
    elif node.name in ("+", "-", "*"):
        a, b = values
        value = {"+": a + b, "-": a - b, "*": a * b}[node.name]
    elif node.name == "/":
        value = values[0] / values[1] if values[1] else None
    else:
        value = -values[0] if node.name == "neg" else None
    is_small = value is not None and max(value.numerator.bit_length(), value.denominator.bit_length()) < 1000
    return value if is_small else None


class _Parser:
    def __init__(self, text: str, arity: Mapping[str, int]):
        self.text, self.arity, self.depth = text, arity, 0
        self.tokens = list(self._tokens())
        self.next = 0

    def _tokens(self):
        position, end = 0, len(self.text.rstrip())
        while position < end:
            match = TOKEN.match(self.text, position)
            if not match:
                position += len(self.text[position:]) - len(self.text[position:].lstrip())
                raise ValueError(
                    f"A formula cannot have {_shown(self.text[position])}, which is character {position + 1}: use "
                    "numbers, z, + - * / ^, parentheses and functions."
                )
            yield match.lastgroup, match[match.lastgroup], match.start(match.lastgroup) + 1
            position = match.end()
        yield "end", "", end + 1

    def read(self) -> Node:
        node = self.sum()
        self._expect("")
        return node

    def _is(self, *signs: str) -> bool:
        kind, text, _ = self.tokens[self.next]
        return kind == "sign" and text in signs

    def _take(self) -> str:
        self.next += 1
        return self.tokens[self.next - 1][1]

    def _expect(self, sign: str) -> None:
        kind, text, position = self.tokens[self.next]
        if text == sign and kind in ("sign", "end"):
            self.next += 1
            return
        before = self.tokens[self.next - 1][1] if self.next else ""
        wanted = f"`{sign}`" if sign else "an operator such as * or +"
        if kind == "end":
            raise ValueError(f"The formula ends where {wanted} is missing.")
        hint = f": write {before}*{text}" if before and kind != "sign" and text.isalnum() else ""
        raise ValueError(f"`{_cut(text)}` at character {position}: {wanted} is expected before it{hint}.")

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise ValueError(f"The formula is nested more than {MOST_DEPTH} deep: use fewer parentheses.")

    def sum(self) -> Node:
        node = self.product()
        while self._is("+", "-"):
            node = Call(self._take(), (node, self.product()))
        return node

    def product(self) -> Node:
        node = self.factor()
        while self._is("*", "/"):
            node = Call(self._take(), (node, self.factor()))
        return node

    def factor(self) -> Node:
        self._deeper()
        if self._is("-"):
            self._take()
            node = Call("neg", (self.factor(),))
        else:
            node = self.power()
        self.depth -= 1
        return node

    def power(self) -> Node:
        base = self.atom()
        if not self._is("^", "**"):
            return base
        self._take()
        position = self.tokens[self.next][2]
        node = self.factor()
        exponent = rational(node)
        if exponent is None:
            raise ValueError(
                f"`{_cut(unparse(node))}` at character {position}: an exponent is a rational number, such as 2, -1 or "
                "(1/2); exp(...) has others."
            )
        if abs(exponent) > MOST_EXPONENT or exponent.denominator > 10**6:
            raise ValueError(
                f"The exponent at character {position} is too large or too fine: use at most {MOST_EXPONENT} and at "
                "most 6 decimals."
            )
        return Power(base, exponent)

    def atom(self) -> Node:
        kind, text, position = self.tokens[self.next]
        if kind == "number":
            self.next += 1
            return Number(_number(text, position))
        if kind == "name":
            self.next += 1
            return self._named(text, position)
        if self._is("("):
            self._take()
            node = self.sum()
            self._expect(")")
            return node
        if kind == "end":
            raise ValueError("The formula ends where a number, z or a function is missing.")
        raise ValueError(f"`{text}` at character {position}: a number, z or a function is expected here.")

    def _named(self, name: str, position: int) -> Node:
        is_call = self._is("(")
        if name == "z" or name in CONSTANTS:
            if is_call:
                raise ValueError(f"`{name}(` at character {position}: {name} is no function. Write {name}*(...).")
            return Symbol(name)
        if name not in self.arity:
            known = ["z", *CONSTANTS, *self.arity]
            near = difflib.get_close_matches(name.lower(), known, 1, 0.5)
            hint = f"did you mean {near[0]}?" if near else f"use z or one of {', '.join(known[1:])}."
            raise ValueError(f"`{_cut(name)}` at character {position} is unknown: {hint}")
        many = self.arity[name]
        example = f"{name}({', '.join(['z', '1'][:many])})"
        if not is_call:
            raise ValueError(f"`{name}` at character {position} is a function: write {example}.")
        self._take()
        parts = [self.sum()]
        while self._is(","):
            self._take()
            parts.append(self.sum())
        self._expect(")")
        if len(parts) != many:
            raise ValueError(f"`{name}` at character {position} has {len(parts)} arguments: write {example}.")
        return Call(name, tuple(parts))


def _number(text: str, position: int) -> Fraction:
    mantissa, _, exponent = text.lower().partition("e")
    # An exponent that is too long is not turned into a number with so many digits.
    value = Fraction(mantissa) if not exponent else None
    if exponent and abs(int(exponent)) < 400:
        value = Fraction(text)
    if value is None and not Fraction(mantissa):
        value = Fraction(0)
    if value is None or (value and not SMALLEST <= value <= LARGEST):
        raise ValueError(f"`{_cut(text)}` at character {position}: use numbers from 1e-12 to 1e12, or 0.")
    return value


def parse(text: str, arity: Mapping[str, int]) -> Node:
    """The tree of a text; `arity` says how many arguments each function has. Raises ValueError with the place."""
    if not isinstance(text, str):
        raise ValueError("A formula is a text in z, such as tanh(z).")
    text = text.translate(ALIKE)
    if not text.strip():
        raise ValueError("The formula is empty: write a function of z, such as tanh(z).")
    if len(text) > MOST_CHARACTERS:
        raise ValueError(f"The formula has {len(text):,} characters: use at most {MOST_CHARACTERS}.")
    node = _Parser(text, arity).read()
    if (nodes := size(node)) > MOST_NODES:
        raise ValueError(f"The formula has {nodes} numbers, operators and functions: use at most {MOST_NODES}.")
    return node


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
    """The tree for people to read; `macros` has what a function's name is in LaTeX where it is another."""

    def within(part: Node, least: int) -> str:
        inner = latex(part, macros)
        return rf"\left({inner}\right)" if _level(part) < least else inner

    if isinstance(node, Number):
        mantissa, _, exponent = decimal(node.value).partition("e")
        return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa
    if isinstance(node, Symbol):
        return CONSTANTS.get(node.name, node.name)
    if isinstance(node, Power):
        return f"{within(node.base, ATOM)}^{{{node.exponent}}}"
    parts = node.parts
    if node.name == "neg":
        return f"-{within(parts[0], FACTOR)}"
    if node.name == "/":
        return rf"\frac{{{latex(parts[0], macros)}}}{{{latex(parts[1], macros)}}}"
    if node.name in LEVEL:
        level = LEVEL[node.name]
        sign = r"\," if node.name == "*" else node.name
        if node.name == "*" and isinstance(parts[1], Number | Power) and _begins_with_digit(parts[1]):
            sign = r"\cdot"
        return f"{within(parts[0], level)} {sign} {within(parts[1], level + 1)}"
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
    """A number that was written as a decimal, as a decimal that is exactly it."""
    digits, places = value, 0
    while digits.denominator != 1:
        digits, places = digits * 10, places + 1
    text = str(int(digits))
    if places > 8 and len(text) <= places:
        shift = len(text) - 1 - places
        return f"{text[0]}{'.' + text[1:] if len(text) > 1 else ''}e{shift}"
    return text if not places else f"{text[:-places] or '0'}.{text[-places:].rjust(places, '0')}"


def matches(pattern: Node, node: Node, bound: dict[str, Node]) -> bool:
    """Whether a node is the pattern with one part in the place of z, which is then bound["z"]."""
    if pattern == Z:
        return bound.setdefault("z", node) == node
    if not parts_of(pattern):
        return pattern == node
    same = type(pattern) is type(node) and len(parts_of(pattern)) == len(parts_of(node))
    if same and isinstance(pattern, Power):
        same = pattern.exponent == node.exponent
    elif same:
        same = pattern.name == node.name
    return same and all(matches(p, n, bound) for p, n in zip(parts_of(pattern), parts_of(node), strict=True))


def _shown(character: str) -> str:
    return (
        f"`{character}`" if character.isprintable() and character not in "`" else f"the character {ord(character):#x}"
    )


def _cut(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
