"""Who may import whom: core maths -> flow -> training, measure | live, figures | engine, session -> screens -> main."""

import ast
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
# Within the core, a module or package may import only those that stand before it.
CORE_ORDER = [
    "settings", "activations", "formula", "roulette", "probes", "gradients", "identity_plus", "log_det", "moments",
    "throws", "planted", "bijection", "orders", "spectral_norm", "norms", "lipschitz", "inverse", "tangents",
    "one_pass", "branch", "residual", "actnorm", "normalizing_flow", "flow", "peers", "hybrid", "size", "flow_file",
    "iterations", "folds", "datasets", "training", "step_cost", "device", "calibration", "measure",
]  # fmt: skip


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


def test_the_core_is_read_in_one_order():
    core = ROOT / "resflow_core"
    parts = {path.stem: [path] for path in core.glob("*.py") if path.stem != "__init__"}
    parts |= {path.parent.name: list(path.parent.rglob("*.py")) for path in core.glob("*/__init__.py")}
    assert set(parts) == set(CORE_ORDER), "give every module of the core its place in CORE_ORDER"
    for position, name in enumerate(CORE_ORDER):
        for path in parts[name]:
            wrong = {
                found
                for found in imported(path)
                for later in CORE_ORDER[position + 1 :]
                if within(found, f"resflow_core.{later}")
            }
            assert not wrong, f"{path.relative_to(ROOT)} must not import {sorted(wrong)}"
