"""Formulas that are meant to take long, or to be certified wrongly: an entry of `KINDS` is a way to write one."""

import random
from collections.abc import Callable, Iterator

from resflow_core.expressions.functions import FUNCTIONS
from resflow_core.expressions.syntax import MOST_CHARACTERS

ANY = tuple(FUNCTIONS)
BOUNDED = ("sin", "cos", "tanh", "sigmoid", "erf", "atan", "gauss", "softsign", "xgauss", "lorentz")
ANYWHERE = tuple(name for name in FUNCTIONS if name not in ("exp", "log", "sqrt"))
KINKED = ("relu", "abs", "elu", "softsign")
NUMBERS = ("0", "1", "2", "3", "7", "0.5", "1e-3", "1e-6", "1e-12", "1e3", "1e6", "1e9", "1e12", "pi", "e", "0.1", "31")
TAME = ("1", "2", "3", "0.5", "0.1", "7", "9", "pi")
EXPONENTS = ("2", "3", "-1", "-2", "(1/2)", "(3/2)", "(5/3)", "0", "64", "-64", "0.000001", "(1/999983)", "1.75", "33")
MARKS = "+-*/^(),.0123456789 zepi\u2212\u00d7\u03c0\x00`'[]=:;\u202e\U0001d433\ud800"
WORDS = (
    *ANY,
    "z",
    "pi",
    "e",
    "(",
    ")",
    "^",
    "**",
    "*",
    "/",
    "+",
    "-",
    ",",
    "1",
    "2.5",
    "1e9",
    "9^9^9^9",
    "min(",
    "max(",
)


def tree(rng: random.Random, depth: int, names: tuple[str, ...] = ANY, numbers: tuple[str, ...] = NUMBERS) -> str:
    """A random tree over all of the language."""
    if depth <= 0 or rng.random() < 0.12:
        return rng.choice(("z", "z", "z", rng.choice(numbers)))
    kind = rng.randrange(10)
    if kind < 5:
        return f"{rng.choice(names)}({tree(rng, depth - 1, names, numbers)})"
    if kind < 6:
        return f"({tree(rng, depth - 1, names, numbers)})^{rng.choice(EXPONENTS)}"
    a, b = (tree(rng, depth - 1, names, numbers) for _ in range(2))
    if kind < 7:
        return f"{rng.choice(('min', 'max'))}({a}, {b})"
    return f"({a}{rng.choice('+-*/')}{b})" if kind < 9 else f"-{a}"


def fitting(rng: random.Random, make: Callable[[random.Random], str]) -> str:
    """A text of `make` that is short enough to be read."""
    for _ in range(100):
        if len(text := make(rng)) <= MOST_CHARACTERS:
            return text
    return "z"


def any_tree(rng: random.Random) -> str:
    return fitting(rng, lambda rng: tree(rng, rng.randint(2, 8)))


def tame_tree(rng: random.Random) -> str:
    """Most of these have a bounded slope."""
    names = rng.choice((BOUNDED, ANYWHERE))
    return fitting(rng, lambda rng: tree(rng, rng.randint(2, 7), names, TAME))


def joined(rng: random.Random, mark: str, part: Callable[[random.Random], str]) -> str:
    """As many parts as there is room for."""
    text, most = part(rng), rng.choice((60, 120, MOST_CHARACTERS))
    while len(longer := f"{text}{mark}{part(rng)}") <= most:
        text = longer
    return text


def wave(rng: random.Random) -> str:
    rate = rng.choice(("", "2*", "63*", "64*", "pi*", "1e3*", "1e6*", "sqrt(2)*", f"{rng.randint(2, 60)}*", "0.1*"))
    return f"{rng.choice(('sin', 'cos'))}({rate}z{rng.choice(('', '', '+1', '+z', '+tanh(z)'))})"


def bump(rng: random.Random) -> str:
    return f"{rng.choice(BOUNDED)}({rng.choice(('', '9*', '1e3*', '1e6*'))}z{rng.choice(('', '-40', '+1', '-1e3'))})"


def long_sum(rng: random.Random) -> str:
    return joined(rng, rng.choice("+-"), rng.choice((wave, bump, lambda rng: "z", lambda rng: tree(rng, 2))))


def long_product(rng: random.Random) -> str:
    return joined(rng, "*", rng.choice((wave, bump, lambda rng: f"({wave(rng)}+2)")))


def nested(rng: random.Random) -> str:
    names = rng.choice((ANY, BOUNDED, KINKED, ("sin", "cos"), ("gelu", "silu", "mish"), (rng.choice(ANY),)))
    text, most = rng.choice(("z", "9*z", "z+1", "sin(z)", "31*z")), rng.randint(2, 19)
    for _ in range(most):
        wrapped = f"{rng.choice(names)}({rng.choice(('', '', '2*', '7*', 'z+', '1-'))}{text})"
        if len(wrapped) > MOST_CHARACTERS:
            break
        text = wrapped
    return text


def tower(rng: random.Random) -> str:
    """Of exp, and of powers."""
    if rng.random() < 0.5:
        return "z" + "".join(f"^{rng.choice(EXPONENTS)}" for _ in range(1)) + "^2" * rng.randint(0, 90)
    text = rng.choice(("z", "sin(z)", "tanh(z)", "-z", "gauss(z)"))
    for _ in range(rng.randint(1, 12)):
        text = rng.choice((f"exp({text})", f"exp(-{text})", f"exp(exp({text})/9)", f"exp(min({text}, 1))"))
    return fitting(rng, lambda _: rng.choice((text, f"tanh({text})", f"1/(1+{text})", f"min({text}, 1)")))


def division(rng: random.Random) -> str:
    """By what comes near to 0, or is 0."""
    small = rng.choice(("1e-12", "1e-9", "1e-6", "0", "1e-3", "0.1"))
    below = rng.choice((f"sin(z)+1+{small}", f"abs(z)+{small}", f"z*z+{small}", f"tanh({wave(rng)})^2+{small}",
                        f"1-cos({rng.randint(1, 60)}*z)+{small}", f"exp(z)+{small}", tree(rng, 3)))  # fmt: skip
    return fitting(rng, lambda rng: f"{rng.choice(('1', 'z', wave(rng), bump(rng)))}/({below})")


def huge(rng: random.Random) -> str:
    """Constants from one end of the numbers to the other."""
    big, small = rng.choice(("1e12", "1e9", "1e6", "123456789")), rng.choice(("1e-12", "1e-9", "1e-6"))
    name = rng.choice(ANY)
    return rng.choice((f"{name}({big}*z)/{big}", f"{name}({small}*z)/{small}", f"{name}(z+{big})", f"{big}*{name}(z)",
                       f"{name}({big}*z)*{small}+z", f"(z+{big})-{big}", f"{big}^{rng.choice(EXPONENTS)}*{name}(z)",
                       f"{name}(z)^{rng.choice(EXPONENTS)}", f"9^9^{rng.randint(1, 99)}*z",
                       f"{name}({big}*z^2)*{small}", f"sin({big}*z)/{big}+cos(z)"))  # fmt: skip


def kinks(rng: random.Random) -> str:
    """Thousands of them, in parts that each are looked at."""
    rate = rng.choice((1, 9, 60, 300, 600, 1000))
    inner = rng.choice((f"sin({rate}*z)", f"cos({rate}*z)", f"sin({rate}*z)*cos({rate + 1}*z)", wave(rng)))
    text, most = inner, rng.randint(1, 16)
    for _ in range(most):
        longer = rng.choice((f"abs({text})", f"relu({text}-0.1)", f"min({text}, {inner}/2)", f"max({text}, 0.1)",
                             f"abs({text}-0.3)", f"elu({text})", f"min({text}, 3)^(3/2)",
                             f"(2+{text})^(5/3)"))  # fmt: skip
        if len(longer) > MOST_CHARACTERS - 5:
            break
        text = longer
    return f"{text}/{rate}"


def periods(rng: random.Random) -> str:
    """Waves that have a period in common with as many others as are allowed."""
    first, most = rng.choice((2, 16, 63)), rng.choice((2, 3, 5, 9))
    waves = [f"{rng.choice(('sin', 'cos'))}({rng.randint(1, first)}*z)" for _ in range(most)]
    text = rng.choice("+*").join(waves)
    outer = rng.choice(("({})/9", "sin({})", "tanh({})*gauss(z/99)", "erf(9*({}))", "gelu({})*cos(z)", "({})^3/9"))
    return outer.format(text) if len(text) < 180 else text


def tiny(rng: random.Random) -> str:
    """Of numbers so small that they have fewer digits, which processors take many times as long for."""
    text = rng.choice(("1e-12^26*{}", "gauss(27+({})/9)", "({})/1e12^24/1e9")).format(
        long_product(rng)[:90].rpartition("*")[0]
    )
    for _ in range(rng.randint(0, 12)):
        text = f"{rng.choice(ANYWHERE)}({text})"
    return text


def noise(rng: random.Random) -> str:
    """No formula at all, mostly."""
    pool = rng.choice((MARKS, WORDS))
    return "".join(rng.choice(pool) for _ in range(rng.choice((1, 5, 20, 60, 199, 400))))


def mutated(rng: random.Random) -> str:
    """Some other kind's, with a few characters changed."""
    text = list(rng.choice((any_tree, nested, long_sum, division, huge, kinks))(rng))
    for _ in range(rng.randint(1, 3)):
        text[rng.randrange(len(text))] = rng.choice(MARKS)
    return "".join(text)


KINDS: dict[str, Callable[[random.Random], str]] = {
    "any tree": any_tree,
    "tame tree": tame_tree,
    "long sum": long_sum,
    "long product": long_product,
    "nested": nested,
    "tower": tower,
    "division": division,
    "huge": huge,
    "kinks": kinks,
    "periods": periods,
    "tiny": tiny,
    "noise": noise,
    "mutated": mutated,
}

# Written by hand, each for a reason: as many parts as are allowed, as many rounds, as many corners, as many digits.
BY_HAND = (
    "sin(sin(9*z)*cos(z*pi))*cos(tanh(9*z)+sin(31*z))*erf(7*sin(8*z))*gelu(sin(5*z)) + xgauss(sin(3*z)*4 + z)",
    "sin(sqrt(2)*z)*sin(sqrt(3)*z)*sin(sqrt(5)*z)*sin(sqrt(7)*z)*sin(sqrt(11)*z)",
    "*".join(["sin(7*z)", "cos(11*z)", "sin(13*z)", "cos(17*z)", "tanh(z)", "gauss(z)"]),
    "sin(" * 15 + "z" + ")" * 15,
    "1/(" * 15 + "z" + "+1)" * 15,
    "z" + "^2" * 90,
    "9**9**9**9**9**9",
    "(" * 10_000,
    "+".join("z" * 50),
    "-".join(["abs(sin(999*z))"] * 12),
    "1e" + "9" * 190 + "*z",
    "0." + "0" * 190 + "1*z",
    "9" * 200,
    "z*" + "9" * 190,
    "",
    "\u2212" * 200,
    "abs(" * 19 + "sin(600*z)" + ")" * 19,
    "mish(" * 19 + "z" + ")" * 19,
    "mish(9*" * 18 + "z" + ")" * 18,
    "sin(9*" * 18 + "z" + ")" * 18,
    "gelu(z+" * 18 + "z" + ")" * 18,
    "min(max(sin(z),cos(z)),max(sin(2*z),cos(2*z)))*min(sin(3*z),cos(3*z))*max(sin(5*z),cos(7*z))",
)


def hostile(count: int, seed: int = 0) -> Iterator[tuple[str, str]]:
    """(kind, formula): those by hand, and then of every kind in turn until there are so many."""
    rng, kinds = random.Random(seed), list(KINDS.items())
    yield from (("by hand", text) for text in BY_HAND[:count])
    for number in range(count - len(BY_HAND)):
        name, make = kinds[number % len(kinds)]
        yield name, make(rng)


FEW: dict[str, int] = dict.fromkeys(KINDS, 30) | {
    "long product": 3, "kinks": 3, "long sum": 8, "nested": 8, "periods": 8, "huge": 10, "tame tree": 20,
    "division": 16, "tiny": 6,
}  # fmt: skip
"""How many of each kind are tried in every run of the tests: of those that take long only some."""


def few(seed: int = 1) -> Iterator[tuple[str, str]]:
    """(kind, formula): those by hand, and so many of every kind as `FEW` has."""
    rng = random.Random(seed)
    yield from (("by hand", text) for text in BY_HAND)
    for name, count in FEW.items():
        yield from ((name, KINDS[name](rng)) for _ in range(count))
