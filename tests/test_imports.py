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
    "settings", "activations", "expressions", "roulette", "probes", "gradients", "fast.plane", "log_det",
    "estimators.moments", "estimators.draws", "estimators.faulty_estimators", "bijection", "norms.norm_orders",
    "spectral_norm", "norms.induced", "lipschitz", "fixed_point", "fast.forward_mode", "fast.fused_flow", "branch",
    "residual", "actnorm", "normalizing_flow", "flow", "baselines.coupling", "hybrid", "training.parameter_count",
    "api.flow_file", "measure.inverse_iterations", "measure.invertibility", "data", "training.trainer",
    "training.step_cost", "training.device", "measure.reliability", "measure",
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


def place(module: str) -> int | None:
    """The place of a module of the core in `CORE_ORDER`: that of the longest name that it lies within."""
    names = [name for name in CORE_ORDER if within(module, f"resflow_core.{name}")]
    return CORE_ORDER.index(max(names, key=len)) if names else None


def test_the_core_is_read_in_one_order():
    for path in (ROOT / "resflow_core").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        own = place(module)
        if own is None:
            assert path.name == "__init__.py", f"give {module} its place in CORE_ORDER"
            continue
        wrong = {found for found in imported(path) if (place(found) or 0) > own}
        assert not wrong, f"{path.relative_to(ROOT)} must not import {sorted(wrong)}"
