"""Expressions of lessons: numbers, words, settings and observables, compared and calculated with. Nothing is run that
is not named here.

    bias(3) > 0                                     an observable of `OBSERVABLES`, called where it takes something
    bench.n_terms >= 8                              a setting, by its name in links
    given(variance, 'bench.probe=rademacher')       the same with other settings
    believed_mass - 1                               + - * / **, abs, ceil, sqrt, exp, log, and, or, not, < <= == != >= >
"""

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

FUNCTIONS: dict[str, Callable[[float], float]] = {
    "abs": abs,
    "ceil": math.ceil,
    "sqrt": math.sqrt,
    "exp": math.exp,
    "log": math.log,
}
BINARY = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: math.pow,  # of floats: 9**9**9 is refused at once
}
UNARY = {ast.USub: operator.neg, ast.UAdd: operator.pos, ast.Not: operator.not_}
COMPARED = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.GtE: operator.ge,
    ast.Gt: operator.gt,
}
GIVEN = "given"


class Unknown(Exception):
    """What is asked for is not known yet, because it was not measured or not answered."""


class Names(Protocol):
    """Whoever knows what the names of an expression stand for."""

    def value(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """Raises `Unknown` where it is not known yet."""

    def changed(self, settings: Mapping[str, str]) -> "Names":
        """The same with other settings. Raises ValueError."""


@dataclass(frozen=True)
class Expression:
    """A text that was read. Raises ValueError, with a sentence, where it cannot be."""

    text: str

    def __post_init__(self):
        self._tree  # noqa: B018 -- read it now, while somebody knows the line

    @property
    def settings(self) -> set[str]:
        """The names of all that `given` changes."""
        calls = (node for node in ast.walk(self._tree) if isinstance(node, ast.Call) and _name(node.func) == GIVEN)
        return {name for call in calls for name in _settings(call.args[1].value)}

    @property
    def is_plain(self) -> bool:
        """Whether it is one observable or setting, of which nothing is calculated."""
        asked = self._tree.func if isinstance(self._tree, ast.Call) else self._tree
        return _is_name(asked) and _name(asked) not in {GIVEN, *FUNCTIONS}

    @property
    def is_live(self) -> bool:
        """Whether it asks for something as it is, and not only for what would be `given` other settings."""
        return _is_live(self._tree)

    @cached_property
    def names(self) -> tuple[tuple[str, int], ...]:
        """(name, number of arguments) of all that it asks for."""
        called = {id(node.func): len(node.args) for node in ast.walk(self._tree) if isinstance(node, ast.Call)}
        inner = {
            id(node.value) for node in ast.walk(self._tree) if isinstance(node, ast.Attribute)
        }  # a.b.c is one name
        return tuple(
            (_name(node), called.get(id(node), 0))
            for node in ast.walk(self._tree)
            if isinstance(node, ast.Name | ast.Attribute)
            and id(node) not in inner
            and _name(node) not in {GIVEN, *FUNCTIONS}
        )

    def of(self, names: Names) -> Any:
        """Its value; None where something in it is not known yet. Raises ValueError where it cannot be had."""
        try:
            return _value(self._tree, names)
        except Unknown:
            return None
        except LookupError as error:
            raise ValueError(f"`{self.text}`: there is nothing of that name or number.") from error
        except (ArithmeticError, TypeError, ValueError) as error:
            raise ValueError(f"`{self.text}`: {str(error).rstrip('.')}.") from error

    @cached_property
    def _tree(self) -> ast.expr:
        try:
            tree = ast.parse(self.text.strip(), mode="eval").body
        except (SyntaxError, ValueError):
            raise ValueError(f"`{self.text}` cannot be read. Write it such as `bias(3) > 0`.") from None
        _check(tree, self.text)
        return tree


def _name(node: ast.expr) -> str:
    return f"{_name(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else node.id


def _is_live(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=func, args=arguments):
            name = _name(func)
            return name != GIVEN and (name not in FUNCTIONS or any(map(_is_live, arguments)))
        case ast.Name() | ast.Attribute():
            return True
    return any(map(_is_live, ast.iter_child_nodes(node)))


def _is_name(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) or (isinstance(node, ast.Attribute) and _is_name(node.value))


def _settings(text: str) -> dict[str, str]:
    """ "bench.law.p=0.3, bench.probe=rademacher" by their names."""
    pairs = [part.partition("=") for part in text.split(",")]
    if wrong := [name for name, equals, _ in pairs if not equals]:
        raise ValueError(f"`{text}`: write name=value, not `{wrong[0].strip()}`.")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _check(node: ast.expr, text: str) -> None:
    match node:
        case ast.Constant(value=bool() | int() | float() | str()):
            return
        case ast.Name() | ast.Attribute() if _is_name(node):
            return
        case ast.Call(func=ast.Name(id="given"), args=[inner, ast.Constant(value=str() as changes)], keywords=[]):
            _settings(changes)
            _check(inner, text)
        case ast.Call(func=func, args=arguments, keywords=[]) if _is_name(func) and _name(func) != GIVEN:
            for argument in arguments:
                _check(argument, text)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
            _check(left, text)
            _check(right, text)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in UNARY:
            _check(operand, text)
        case ast.BoolOp(values=values):
            for value in values:
                _check(value, text)
        case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in COMPARED for op in ops):
            for value in (left, *others):
                _check(value, text)
        case _:
            raise ValueError(f"`{text}`: `{ast.unparse(node)}` is not allowed here.")


def _value(node: ast.expr, names: Names) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name() | ast.Attribute():
            return names.value(_name(node), ())
        case ast.Call(func=ast.Name(id="given"), args=[inner, changes]):
            return _value(inner, names.changed(_settings(changes.value)))
        case ast.Call(func=func, args=arguments):
            found = tuple(_value(argument, names) for argument in arguments)
            function = FUNCTIONS.get(_name(func))
            return function(*found) if function else names.value(_name(func), found)
        case ast.BinOp(left=left, op=op, right=right):
            return BINARY[type(op)](_value(left, names), _value(right, names))
        case ast.UnaryOp(op=op, operand=operand):
            return UNARY[type(op)](_value(operand, names))
        case ast.BoolOp(op=ast.And(), values=values):
            return all(_value(value, names) for value in values)
        case ast.BoolOp(values=values):
            return any(_value(value, names) for value in values)
        case ast.Compare(left=left, ops=ops, comparators=others):
            found = [_value(value, names) for value in (left, *others)]
            return all(COMPARED[type(op)](a, b) for op, a, b in zip(ops, found, found[1:], strict=False))
    raise AssertionError(ast.dump(node))
