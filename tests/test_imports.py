"""Who may import whom: the paper and its packages, the rooms of the app in one order, features never each other."""

import ast
import functools
import io
import sys
import tokenize
from pathlib import Path

from app.screens import SCREENS

ROOT = Path(__file__).parent.parent
PLOTTING = {"plotly", "altair", "matplotlib"}

# The rooms of the app, from the lowest up: each imports those before it, the core, and nothing that stands after it.
ROOMS = [
    "streamlit_internals",
    "text", "turns", "clockwork", "network", "hosts", "callers", "security", "numbers", "words",
    "csv_cells", "csv_text", "csv_file", "drawing", "quantise", "web",
    "engine", "metrics", "contests", "setup", "link", "components", "channel", "estimates", "examples", "evidence",
    "takeaway", "lessons", "classroom", "session", "ui", "features", "screens", "page", "main",
]  # fmt: skip
# Programs, which begin at the top wherever they stand.
PROGRAMS = {"app/__main__.py", "app/evidence/__main__.py", "app/lessons/__main__.py", "app/engine/worker/__main__.py"}
# Place -> top-level packages that nothing in it may import, directly or inside a function.
FORBIDDEN = {
    "resflow_core": {"streamlit", "app", "pandas", *PLOTTING},
    "app/engine": {"streamlit", *PLOTTING},
    "app/estimates": {"streamlit", *PLOTTING},
    "app/takeaway": {"streamlit", *PLOTTING},
    "app/lessons": {"streamlit", *PLOTTING},
    "app/components": {"torch", "resflow_core", "altair", "matplotlib"},
    "app/session": PLOTTING,
    "app/ui": PLOTTING - {"altair"},
}
# The estimator's settled figures are Altair's; all others are drawn by components of our own.
WITH_FIGURES = {"estimator", "learn"}


# The paper: the files directly in the core. They import torch and those that stand before them, never a package.
PAPER = [
    "settings", "arguments", "activations", "roulette", "probes", "gradients", "log_det", "bijection", "actnorm",
    "spectral_norm", "lipschitz", "fixed_point", "residual", "flow", "hybrid",
]  # fmt: skip
# The packages beside them, which import the paper's files and the packages that stand before them.
PACKAGES = [
    "breathe",
    "extras",
    "norms",
    "branches",
    "fast",
    "expressions",
    "data",
    "estimators",
    "baselines",
    "training",
    "measure",
    "api",
]


@functools.cache
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


def test_no_forbidden_import():
    for place, forbidden in FORBIDDEN.items():
        files = list((ROOT / place).rglob("*.py"))
        assert files, place
        for path in files:
            wrong = {name for name in imported(path) for bad in forbidden if within(name, bad)}
            assert not wrong, f"{path.relative_to(ROOT)} must not import {sorted(wrong)}"


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


APP_FILES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "app").rglob("*.py"))


def module_of(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def test_rooms_of_the_app_import_those_below():
    for file in APP_FILES:
        if file in PROGRAMS or file == "app/__init__.py":
            continue
        own = room(module_of(file))
        assert own in ROOMS, f"give the room {own} its place in ROOMS"
        above = set(ROOMS[ROOMS.index(own) + 1 :])
        wrong = {name for name in imported(ROOT / file) if within(name, "app") and room(name) in above}
        assert not wrong, f"{file} must not import {sorted(wrong)}"


FEATURES = sorted(path.name for path in (ROOT / "app" / "features").iterdir() if (path / "__init__.py").is_file())


def test_features_do_not_import_each_other():
    for path in (ROOT / "app" / "features").rglob("*/*.py"):
        feature, found = path.relative_to(ROOT / "app" / "features").parts[0], imported(path)
        own = f"app.features.{feature}"
        others = {name for name in found if within(name, "app.features") and not within(name, own)}
        assert others <= {"app.features"}, f"{path.relative_to(ROOT)} must not import {sorted(others)}"
        if path.stem == feature:
            assert not any(within(name, "torch") for name in found), f"{path.relative_to(ROOT)}: screens need no torch"
        if feature not in WITH_FIGURES:
            drawn = {name for name in found for bad in PLOTTING if within(name, bad)}
            assert not drawn, f"{path.relative_to(ROOT)} must not import {sorted(drawn)}"


def test_components_are_declared_in_one_place():
    """Which calls their scripts with the newest data alone."""
    declaring = {file for file in APP_FILES if "v2.component(" in (ROOT / file).read_text()}
    assert declaring == {"app/components/component.py"}


def test_every_feature_has_a_screen_and_every_screen_a_feature():
    assert sorted(screen.folder for screen in SCREENS.values()) == FEATURES
    for screen in SCREENS.values():
        assert (ROOT / "app" / screen.script).is_file()


def test_the_papers_files_are_read_in_one_order():
    core = ROOT / "resflow_core"
    assert {path.stem for path in core.glob("*.py")} - {"__init__"} == set(PAPER), "give every file its place in PAPER"
    assert {path.parent.name for path in core.glob("*/__init__.py")} == set(PACKAGES)
    for position, name in enumerate(PAPER):
        before = {f"resflow_core.{earlier}" for earlier in PAPER[:position]}
        for found in imported(core / f"{name}.py"):
            ours = any(within(found, module) for module in before)
            assert ours or found.split(".")[0] in sys.stdlib_module_names | {"torch"}, f"{name} must not import {found}"


def test_packages_import_those_before_them():
    for position, package in enumerate(PACKAGES):
        later = [f"resflow_core.{name}" for name in PACKAGES[position + 1 :]]
        for path in (ROOT / "resflow_core" / package).rglob("*.py"):
            wrong = {found for found in imported(path) if any(within(found, module) for module in later)}
            assert not wrong, f"{path.relative_to(ROOT)} must not import {sorted(wrong)}"


def test_the_paper_is_short():
    """At most 15 files and 1,800 lines of code, all that torch needs for a step. Docstrings, comments and blank lines
    come on top."""
    files = [ROOT / "resflow_core" / f"{name}.py" for name in PAPER]
    assert len(files) <= 15
    assert sum(len(lines_of_code(path)) for path in files) <= 1800


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
