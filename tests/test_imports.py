"""Who may import whom: core maths -> flow -> training, measure | live, figures | engine, session -> screens -> main."""

import ast
import io
import sys
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PLOTTING = {"plotly", "altair", "matplotlib"}

# folder -> top-level packages, or modules of ours, that it must not import, directly or inside a function
FORBIDDEN = {
    "resflow_core": {"streamlit", "app", "pandas", *PLOTTING},
    "app/live": {"torch", "resflow_core", "app.session", "app.controls", "app.screens"},
    "app/engine": {"streamlit", "app.session", "app.controls", "app.screens", "app.live", *PLOTTING},
    "app/figures": {"streamlit", "torch", "resflow_core", "app.session", "app.estimator", "app.screens"},
    "app/canvas": {"streamlit", "torch", "resflow_core", "app.session", "app.live", "app.screens", *PLOTTING},
    "app/planes": {"torch", "resflow_core", "app.session", "app.controls", "app.estimator", "app.screens"},
    "app/spectrum": {"torch", "resflow_core", "app.session", "app.estimator", "app.screens"},
    "app/bench": {"streamlit", "app.session", "app.controls", "app.estimator", "app.screens", *PLOTTING},
    "app/estimator": {"app.screens"},
    "app/lipschitz": {"app.screens", *PLOTTING},
    "app/activations": {"app.screens", *PLOTTING},
    "app/compare": {"app.screens", *PLOTTING},
    "app/memory": {"app.screens", *PLOTTING},
    "app/joint": {"app.screens", *PLOTTING},
    "app/dimensions": {"app.screens", *PLOTTING},
    "app/lessons": {"streamlit", "app.session", "app.controls", "app.learn", "app.screens", *PLOTTING},
    "app/learn": {"torch", "app.screens", *PLOTTING},
    "app/stretch": {"app.screens", *PLOTTING},
    "app/home": {"app.session", "app.engine", "app.screens", *PLOTTING},
    "app/glossary": {"torch", "resflow_core", "app.session", "app.screens", *PLOTTING},
    "app/images": {"torch", "resflow_core", "app.session", "app.screens", *PLOTTING},
    "app/screens": {"torch"},
}
# The paper: the files directly in the core. They import torch and those that stand before them, never a package.
PAPER = [
    "settings", "arguments", "activations", "roulette", "probes", "gradients", "log_det", "bijection", "actnorm",
    "spectral_norm", "lipschitz", "fixed_point", "residual", "flow", "hybrid",
]  # fmt: skip
# The packages beside them, which import the paper's files and the packages that stand before them.
PACKAGES = ["extras", "norms", "fast", "expressions", "data", "estimators", "baselines", "training", "measure", "api"]


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import by full name, so that this test can follow it"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


@pytest.mark.parametrize("place", FORBIDDEN)
def test_no_forbidden_import(place):
    files = list((ROOT / place).rglob("*.py"))
    assert files
    for path in files:
        wrong = {name for name in imported(path) for bad in FORBIDDEN[place] if within(name, bad)}
        assert not wrong, f"{path.relative_to(ROOT)} must not import {sorted(wrong)}"


def test_the_papers_files_are_read_in_one_order():
    core = ROOT / "resflow_core"
    assert {path.stem for path in core.glob("*.py")} - {"__init__"} == set(PAPER), "give every file its place in PAPER"
    assert {path.parent.name for path in core.glob("*/__init__.py")} == set(PACKAGES)
    for position, name in enumerate(PAPER):
        before = {f"resflow_core.{earlier}" for earlier in PAPER[:position]}
        for found in imported(core / f"{name}.py"):
            ours = any(within(found, module) for module in before)
            assert ours or found.split(".")[0] in sys.stdlib_module_names | {"torch"}, f"{name} must not import {found}"


@pytest.mark.parametrize(("position", "package"), enumerate(PACKAGES), ids=PACKAGES)
def test_packages_import_those_before_them(position, package):
    later = [f"resflow_core.{name}" for name in PACKAGES[position + 1 :]]
    for path in (ROOT / "resflow_core" / package).rglob("*.py"):
        wrong = {found for found in imported(path) if any(within(found, module) for module in later)}
        assert not wrong, f"{path.relative_to(ROOT)} must not import {sorted(wrong)}"


def test_the_paper_is_short():
    """At most 15 files and 1,500 lines of code; docstrings, comments and blank lines come on top."""
    files = [ROOT / "resflow_core" / f"{name}.py" for name in PAPER]
    assert len(files) <= 15
    assert sum(len(lines_of_code(path)) for path in files) <= 1500


def lines_of_code(path: Path) -> set[int]:
    """The numbers of the lines that hold code."""
    source = path.read_text()
    strings = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr)]
    docs = {
        line
        for node in strings
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for line in range(node.lineno, node.end_lineno + 1)
    }
    ignored = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in ignored:
            lines.update(range(token.start[0], token.end[0] + 1))
    return lines - docs
