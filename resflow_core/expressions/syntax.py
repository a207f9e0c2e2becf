"""The parser of formulas: it reads a text as a tree by the grammar below, and never runs it.

sum     = product (("+" | "-") product)*
product = factor (("*" | "/") factor)*
factor  = "-" factor | power
power   = atom (("^" | "**") factor)?                         (the exponent is a rational number)
atom    = number | "z" | "pi" | "e" | name "(" sum ("," sum)* ")" | "(" sum ")"
"""

import difflib
import re
from collections.abc import Mapping
from fractions import Fraction

from resflow_core.expressions.printing import cut, shown
from resflow_core.expressions.tree import CONSTANTS, MOST_EXPONENT, Call, Node, Number, Power, Symbol, rational, size

MOST_CHARACTERS = 200
MOST_DEPTH = 20
MOST_NODES = 100
LARGEST, SMALLEST = Fraction(10) ** 12, Fraction(1, 10**12)

TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<name>[A-Za-z_][A-Za-z_0-9]*)"
    r"|(?P<sign>\*\*|[-+*/^(),]))"
)
ALIKE = str.maketrans({"−": "-", "×": "*", "·": "*", "π": "pi"})


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
                    f"A formula cannot have {_character(self.text[position])}, which is character {position + 1}: use "
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
        raise ValueError(f"`{cut(text)}` at character {position}: {wanted} is expected before it{hint}.")

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
                f"`{shown(node)}` at character {position}: an exponent is a rational number, such as 2, -1 or "
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
                raise ValueError(f"`{name}(` at character {position}: {name} is not a function. Write {name}*(...).")
            return Symbol(name)
        if name not in self.arity:
            known = ["z", *CONSTANTS, *self.arity]
            near = difflib.get_close_matches(name.lower(), known, 1, 0.5)
            hint = f"did you mean {near[0]}?" if near else f"use z or one of {', '.join(known[1:])}."
            raise ValueError(f"`{cut(name)}` at character {position} is unknown: {hint}")
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
    # A huge exponent, as in 1e999999, would make a number with as many digits.
    value = Fraction(mantissa) if not exponent else None
    if exponent and abs(int(exponent)) < 400:
        value = Fraction(text)
    if value is None and not Fraction(mantissa):
        value = Fraction(0)
    if value is None or (value and not SMALLEST <= value <= LARGEST):
        raise ValueError(f"`{cut(text)}` at character {position}: use numbers from 1e-12 to 1e12, or 0.")
    return value


def parse(text: str, arity: Mapping[str, int]) -> Node:
    """The tree of a text. `arity` has the number of arguments of each function.

    Raises ValueError if the text is no formula. The message names the problem, its place and a remedy.
    """
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


def _character(character: str) -> str:
    return (
        f"`{character}`" if character.isprintable() and character not in "`" else f"the character {ord(character):#x}"
    )
