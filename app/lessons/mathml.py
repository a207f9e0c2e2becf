# ruff: noqa: RUF001  # these are the signs of mathematics that look like letters
"""Formulas of lessons as MathML, which browsers draw and print without a script or a font from elsewhere.

The part of LaTeX that lessons write is known: letters, numbers, `^`, `_`, fractions, roots, matrices and the commands
below. Anything else is refused by name, so that nothing is printed wrong in silence.
"""

import re
from collections.abc import Callable
from html import escape

GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε", "theta": "θ",
    "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "ϕ",
    "varphi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω", "Phi": "Φ", "Sigma": "Σ", "Omega": "Ω", "Delta": "Δ",
    "Lambda": "Λ", "ell": "ℓ", "partial": "∂", "infty": "∞",
}  # fmt: skip
RELATIONS = {
    "ge": "≥", "geq": "≥", "le": "≤", "leq": "≤", "cdot": "⋅", "times": "×", "to": "→", "pm": "±", "mapsto": "↦",
    "leftarrow": "←", "approx": "≈", "neq": "≠", "ne": "≠", "in": "∈", "sim": "∼", "circ": "∘", "dots": "…",
    "ldots": "…", "cdots": "⋯", "top": "⊤", "ll": "≪", "gg": "≫", "equiv": "≡",
}  # fmt: skip
NAMED = {"det", "log", "exp", "sin", "cos", "tanh", "max", "min", "sup", "lim"}
LARGE = {"sum": "∑", "prod": "∏", "int": "∫"}
FENCES = {"lVert": "‖", "rVert": "‖", "lvert": "|", "rvert": "|", "|": "‖", "{": "{", "}": "}"}
SPACES = {",": "0.17em", ";": "0.28em", ":": "0.22em", " ": "0.25em", "quad": "1em", "qquad": "2em", "!": "-0.17em"}
SIZES = {"Big", "big", "Bigl", "Bigr", "bigl", "bigr"}
STACKED = {"sum", "prod", "max", "min", "sup", "lim"}  # with limits below and above, displayed
DOUBLE = {"E": "𝔼", "R": "ℝ", "N": "ℕ", "Z": "ℤ", "P": "ℙ"}
# Numbers of languages with a decimal comma: 1\,234{,}5.
COMMA = r"\d+(?:\\,\d{3})*\{,\}\d+|\d{1,3}(?:\\,\d{3})+"
TOKEN = re.compile(rf"\\[a-zA-Z]+|\\.|{COMMA}|\d[\d,]*\d\.\d+|\d{{1,3}}(?:,\d{{3}})+|\d+(?:\.\d+)?|\s+|.", re.DOTALL)


def mathml(formula: str, display: bool = False) -> str:
    """A formula of LaTeX, without its dollars, as one `<math>`; `display`: in a line of its own. Raises ValueError,
    with the formula and the command, for what is not known."""
    try:
        inside = _Reader(formula, display or r"\displaystyle" in formula).all()
    except ValueError as error:
        raise ValueError(f"`{formula.strip()}`: {error}") from None
    shown = ' display="block"' if display else ""
    return f'<math{shown} aria-label="{escape(" ".join(formula.split()))}"><mrow>{inside}</mrow></math>'


class _Reader:
    def __init__(self, formula: str, display: bool):
        self._tokens = TOKEN.findall(formula)
        self._at, self._display = 0, display

    def all(self) -> str:
        found = self._until(())
        if self._at < len(self._tokens):
            raise ValueError(f"`{self._tokens[self._at]}` closes nothing.")
        return found

    def _peek(self) -> str:
        while self._at < len(self._tokens) and self._tokens[self._at].isspace():
            self._at += 1
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self, wanted: str = "") -> str:
        found = self._peek()
        if not found or (wanted and found != wanted):
            raise ValueError(f"`{wanted or 'something'}` is missing.")
        self._at += 1
        return found

    def _until(self, ends: tuple[str, ...]) -> str:
        parts = []
        while (token := self._peek()) and token not in ends and token != "}":
            parts.append(self._scripted())
        return "".join(parts)

    def _scripted(self) -> str:
        """An atom with what stands below and above it."""
        stacks = self._display and self._peek().lstrip("\\") in STACKED
        base = self._atom()
        below = above = ""
        while self._peek() in ("^", "_", "'"):
            mark = self._take()
            if mark == "'":
                above = "<mo>′</mo>"
            elif mark == "^":
                above = self._argument()
            else:
                below = self._argument()
        over = "over" if stacks else "sup"
        under = "under" if stacks else "sub"
        if below and above:
            return f"<m{under}{over}>{base}{below}{above}</m{under}{over}>"
        if below or above:
            return f"<m{under if below else over}>{base}{below or above}</m{under if below else over}>"
        return base

    def _argument(self) -> str:
        """What stands in braces, or one atom."""
        return self._atom() if self._peek() != "{" else self._group()

    def _group(self) -> str:
        self._take("{")
        inside = self._until(())
        self._take("}")
        return f"<mrow>{inside}</mrow>"

    def _raw(self) -> str:
        """The text in braces, as it is written."""
        self._take("{")
        begins = self._at
        while self._take() != "}":
            pass
        return "".join(self._tokens[begins : self._at - 1])

    def _atom(self) -> str:
        token = self._take()
        if token == "{":
            self._at -= 1
            return self._group()
        if token.startswith("\\"):
            return self._command(token[1:])
        if token[0].isdigit():
            shown = token.replace("{,}", ",").replace("\\,", "\N{NARROW NO-BREAK SPACE}")
            return f"<mn>{escape(shown)}</mn>"
        if token.isalpha():
            return f"<mi>{escape(token)}</mi>"
        if token in "()[]|":
            return f'<mo stretchy="false">{token}</mo>'
        return f"<mo>{'−' if token == '-' else escape(token)}</mo>"

    def _command(self, name: str) -> str:
        if name in GREEK:
            return f"<mi>{GREEK[name]}</mi>"
        if name in RELATIONS:
            return f"<mo>{RELATIONS[name]}</mo>"
        if name in NAMED:  # with the space that a letter behind it needs
            is_close = self._peek() in ("^", "_", "(", "}", "")
            return f"<mi>{name}</mi>" if is_close else f'<mrow><mi>{name}</mi><mspace width="0.17em"/></mrow>'
        if name in LARGE:
            return f'<mo largeop="{str(self._display).lower()}">{LARGE[name]}</mo>'
        if name in FENCES:
            return f'<mo stretchy="false">{FENCES[name]}</mo>'
        if name in SPACES:
            return f'<mspace width="{SPACES[name]}"/>'
        if name not in COMMANDS:
            raise ValueError(f"`\\{name}` is not known on paper.")
        return COMMANDS[name](self, name)

    def fraction(self, name: str) -> str:
        return f"<mfrac>{self._argument()}{self._argument()}</mfrac>"

    def root(self, name: str) -> str:
        return f"<msqrt>{self._argument()}</msqrt>"

    def upright(self, name: str) -> str:
        return f'<mi mathvariant="normal">{escape(self._raw())}</mi>'

    def double(self, name: str) -> str:
        letter = self._raw()
        if letter not in DOUBLE:
            raise ValueError(f"`\\mathbb{{{letter}}}` is not known on paper.")
        return f"<mi>{DOUBLE[letter]}</mi>"

    def words(self, name: str) -> str:
        return f"<mtext>{escape(self._raw()).replace(' ', '&#160;')}</mtext>"

    def style(self, name: str) -> str:
        return ""

    def size(self, name: str) -> str:
        fence = self._take()
        return f'<mo stretchy="true">{escape(FENCES.get(fence.lstrip(chr(92)), fence))}</mo>'

    def between(self, name: str) -> str:
        opens = self._take()
        inside = self._until((r"\right",))
        self._take(r"\right")
        closes = self._take()
        fences = ["" if one == "." else escape(FENCES.get(one.lstrip("\\"), one)) for one in (opens, closes)]
        return f'<mrow><mo stretchy="true">{fences[0]}</mo>{inside}<mo stretchy="true">{fences[1]}</mo></mrow>'

    def matrix(self, name: str) -> str:
        kind = self._raw()
        if kind not in ("pmatrix", "matrix", "bmatrix"):
            raise ValueError(f"`{kind}` is not known on paper.")
        rows: list[list[str]] = [[""]]
        while self._peek() != r"\end":
            token = self._peek()
            if token == "&":
                rows[-1].append("")
            elif token == r"\\":
                rows.append([""])
            else:
                rows[-1][-1] += self._scripted()
                continue
            self._take()
        self._take(r"\end")
        self._raw()
        cells = "".join(
            f"<mtr>{''.join(f'<mtd><mrow>{cell}</mrow></mtd>' for cell in row)}</mtr>" for row in rows if row != [""]
        )
        fences = {"pmatrix": "()", "bmatrix": "[]", "matrix": ["", ""]}[kind]
        return f"<mrow><mo>{fences[0]}</mo><mtable>{cells}</mtable><mo>{fences[1]}</mo></mrow>"


COMMANDS: dict[str, Callable[[_Reader, str], str]] = {
    "frac": _Reader.fraction,
    "dfrac": _Reader.fraction,
    "tfrac": _Reader.fraction,
    "sqrt": _Reader.root,
    "mathrm": _Reader.upright,
    "operatorname": _Reader.upright,
    "mathbb": _Reader.double,
    "text": _Reader.words,
    "displaystyle": _Reader.style,
    "left": _Reader.between,
    "begin": _Reader.matrix,
    **dict.fromkeys(SIZES, _Reader.size),
}
