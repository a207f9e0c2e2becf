"""Formulas that are meant to take long, or to be certified wrongly: an entry of `KINDS` is a way to write one."""

import random
from collections.abc import Callable, Iterator

from resflow_core.expressions.functions import FUNCTIONS

BOUNDED = ("sin", "cos", "tanh", "sigmoid", "erf", "atan", "gauss", "softsign", "xgauss", "lorentz")
NUMBERS = ("0", "1", "2", "0.5", "1e-6", "1e12", "pi", "0.1", "31")
EXPONENTS = ("2", "3", "-1", "(1/2)", "(5/3)", "0", "64", "(1/999983)")
MARKS = "+-*/^(),.0123456789 zepi\u2212\u03c0\x00`'[]=:;\u202e\ud800"


def tree(rng: random.Random, depth: int, names: tuple[str, ...]) -> str:
    """A random tree over all of the language."""
    if depth <= 0 or rng.random() < 0.12:
        return rng.choice(("z", "z", "z", rng.choice(NUMBERS)))
    kind = rng.randrange(10)
    if kind < 5:
        return f"{rng.choice(names)}({tree(rng, depth - 1, names)})"
    if kind < 6:
        return f"({tree(rng, depth - 1, names)})^{rng.choice(EXPONENTS)}"
    a, b = (tree(rng, depth - 1, names) for _ in range(2))
    if kind < 7:
        return f"{rng.choice(('min', 'max'))}({a}, {b})"
    return f"({a}{rng.choice('+-*/')}{b})" if kind < 9 else f"-{a}"


def waves(rng: random.Random) -> str:
    """Of rates that have no period in common."""
    rates = rng.choices(("2*", "63*", "pi*", "1e3*", "sqrt(2)*", "31*"), k=4)
    return "+".join(f"{rng.choice(('sin', 'cos'))}({rate}z{rng.choice(('', '+tanh(z)'))})" for rate in rates)


def extreme(rng: random.Random) -> str:
    """Constants from one end of the numbers to the other, and divisions by what comes near to 0."""
    small, name = rng.choice(("1e-12", "1e-6", "0.1")), rng.choice(tuple(FUNCTIONS))
    return rng.choice((f"{name}({small}*z)/{small}", f"{name}(z/{small})*{small}", f"1/(z*z+{small})"))


def kinks(rng: random.Random) -> str:
    """Many of them, in parts that each are looked at."""
    rate = rng.choice((1, 9, 60))
    text = f"sin({rate}*z)"
    for _ in range(rng.randint(1, 4)):
        text = rng.choice((f"abs({text}-0.3)", f"relu({text}-0.1)", f"max({text}, 0.1)", f"(2+{text})^(5/3)"))
    return f"{text}/{rate}"


KINDS: dict[str, Callable[[random.Random], str]] = {
    "any tree": lambda rng: tree(rng, rng.randint(2, 5), tuple(FUNCTIONS)),
    "tame tree": lambda rng: tree(rng, rng.randint(2, 4), BOUNDED),  # most of these have a bounded slope
    "extreme": extreme,
    "kinks": kinks,
    "noise": lambda rng: "".join(rng.choices(MARKS, k=rng.choice((1, 5, 20, 60, 400)))),
    "waves": waves,
}

# Written by hand, each for a reason: as many parts as are allowed, as many rounds, as many corners, as many digits.
BY_HAND = (
    "sin(" * 15 + "z" + ")" * 15,
    "1/(" * 15 + "z" + "+1)" * 15,
    "z" + "^2" * 90,
    "9**9**9**9**9**9",
    "(" * 10_000,
    "1e" + "9" * 190 + "*z",
    "",
    "abs(" * 19 + "sin(600*z)" + ")" * 19,
    "gelu(z+" * 18 + "z" + ")" * 18,
    "min(max(sin(z),cos(z)),max(sin(2*z),cos(2*z)))*min(sin(3*z),cos(3*z))",
)


def hostile(count: int, seed: int = 0) -> Iterator[tuple[str, str]]:
    """(kind, formula): those by hand, and then of every kind in turn until there are so many."""
    rng, kinds = random.Random(seed), list(KINDS.items())
    yield from (("by hand", text) for text in BY_HAND[:count])
    for number in range(count - len(BY_HAND)):
        name, make = kinds[number % len(kinds)]
        yield name, make(rng)
