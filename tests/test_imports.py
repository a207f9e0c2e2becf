"""Who may import whom: the paper and its packages, the rooms of the app in one order, features never each other."""

import ast
import functools
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
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
# The paper: the files directly in the core. They import torch and those that stand before them, never a package.
PAPER = [
    "settings", "arguments", "activations", "roulette", "probes", "gradients", "log_det", "bijection", "actnorm",
    "spectral_norm", "lipschitz", "fixed_point", "residual", "flow", "hybrid",
]  # fmt: skip
# The packages beside them, which import the paper's files and the packages that stand before them.
PACKAGES = [
    "breathe", "extras", "norms", "fast", "branches", "expressions", "data", "estimators", "baselines", "training",
    "measure", "api",
]  # fmt: skip


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


def test_the_core_and_the_engine_know_nothing_of_streamlit():
    for place, forbidden in (("resflow_core", ("streamlit", "app", "pandas")), ("app/engine", ("streamlit",))):
        for path in (ROOT / place).rglob("*.py"):
            wrong = {name for name in imported(path) for bad in forbidden if within(name, bad)}
            assert not wrong, f"{path.relative_to(ROOT)} must not import {sorted(wrong)}"


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_rooms_of_the_app_import_those_below():
    for file in (path.relative_to(ROOT).as_posix() for path in (ROOT / "app").rglob("*.py")):
        if file in PROGRAMS or file == "app/__init__.py":
            continue
        own = room(file.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
        assert own in ROOMS, f"give the room {own} its place in ROOMS"
        above = set(ROOMS[ROOMS.index(own) + 1 :])
        wrong = {name for name in imported(ROOT / file) if within(name, "app") and room(name) in above}
        assert not wrong, f"{file} must not import {sorted(wrong)}"


def test_features_do_not_import_each_other():
    for path in (ROOT / "app" / "features").rglob("*/*.py"):
        own = f"app.features.{path.relative_to(ROOT / 'app' / 'features').parts[0]}"
        others = {name for name in imported(path) if within(name, "app.features") and not within(name, own)}
        assert others <= {"app.features"}, f"{path.relative_to(ROOT)} must not import {sorted(others)}"


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
