"""Markdown with short formulas as plain text, for where nothing else can be shown."""

import re

SIGNS = {
    "beta": "β", "lambda": "λ", "phi": "φ", "rho": "ρ", "theta": "θ", "le": "≤", "ge": "≥", "ne": "≠",
    "pm": "±", "to": "→", "|": "‖", ",": " ",
}  # fmt: skip
LOWERED = str.maketrans("0123456789+ijknpx", "₀₁₂₃₄₅₆₇₈₉₊ᵢⱼₖₙₚₓ")
RELATION = r"\s*([=<>≤≥≠→])\s*"


def plain(markdown: str) -> str:
    """Markdown as one line of text. Raises ValueError for LaTeX that has no sign here: raised characters, fractions."""
    parts = re.split(r"\$([^$]+)\$", markdown)
    parts[1::2] = map(_formula, parts[1::2])
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", "".join(parts))
    return " ".join(re.sub(r"[*`]+", "", text).split())


def _formula(tex: str) -> str:
    text = re.sub(r"\\([A-Za-z]+|.)\s?", lambda found: SIGNS.get(found[1], found[0]), tex)
    text = re.sub(r"_(?:\{([0-9+ijknpx]+)\}|([0-9ijknpx]))", lambda m: (m[1] or m[2]).translate(LOWERED), text)
    if left := re.search(r"[\\^_{}].*", text):
        raise ValueError(
            f"${tex}$ cannot be plain text because of {left[0]!r}. Say it in words, or in the next sentence."
        )
    return re.sub(RELATION, r" \1 ", text).replace("-", "\N{MINUS SIGN}")
