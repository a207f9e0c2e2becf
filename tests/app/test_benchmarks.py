"""A benchmark that measured nothing fails, and says what was not measured. Here, parts that do nothing do its work."""

import importlib
import pkgutil
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from resflow_core.log_det import Roulette
from resflow_core.measure import Estimate
from tests import benchmarks
from tests.benchmarks import runs
from tests.benchmarks.measured import measured

NOT_BENCHMARKS = {"measured", "resting", "runs"}
NAN = float("nan")


def _instead(monkeypatch, module: ModuleType | type, **parts) -> None:
    for name, part in parts.items():
        monkeypatch.setattr(module, name, part)


def _no_time(monkeypatch, module: ModuleType) -> list[str]:
    """Work that is done in no time at all."""
    monkeypatch.setattr(module.time, "perf_counter", lambda: 1.0)
    return ["--rounds", "1"]


def _speed(monkeypatch, module: ModuleType) -> list[str]:
    _instead(monkeypatch, module, STEPS={"nothing": lambda: lambda: None}, ENVIRONMENT={})
    monkeypatch.setattr(module.time, "thread_time", lambda: 1.0)
    return ["--warm", "0", "--rounds", "1"]


def _roulette(monkeypatch, module: ModuleType) -> list[str]:
    class Nothing:
        """Takes steps that change nothing, in no time."""

        def __init__(self, *given, **named):
            self.step_count, self.evaluated = 0, None

        def step(self):
            self.step_count += 1

    _instead(monkeypatch, module, Trainer=Nothing, log_prob=lambda *_: None)
    _instead(monkeypatch, runs, ProcessPoolExecutor=ThreadPoolExecutor)
    _instead(monkeypatch, module, kl=lambda *_: Estimate(NAN, NAN))
    return ["--seconds", "0", "--steps", "50", "--sets", "rings", "--seeds", "1"]


def _estimator(monkeypatch, module: ModuleType) -> list[str]:
    _instead(monkeypatch, module, works=lambda: {"nothing": lambda: None})
    return _no_time(monkeypatch, module)


def _sessions(monkeypatch, module: ModuleType) -> list[str]:
    async def nothing(server, pages, *settings):
        counted = dict(steps=0, left=0.0, none=0, waited=0, pictures=0, rates=(), share=0.0)
        return module.Row(pages, 1.0, **counted, polls=(), clicks=(), served=0.0, trained=0.0, more=0.0)

    _instead(monkeypatch, module, counting=nullcontext, measure=nothing)
    return ["--pages", "1"]


def _pictures(monkeypatch, module: ModuleType) -> list[str]:
    page = SimpleNamespace(
        goto=lambda *_, **__: None,
        evaluate=lambda *_: dict.fromkeys(("frames", "longest", "pictures", "drawing", "steps"), 0.0),
        wait_for_function=lambda *_, **__: None,
        wait_for_timeout=lambda _: None,
        get_by_role=lambda *_, **__: SimpleNamespace(first=SimpleNamespace(click=lambda: None)),
    )
    session = SimpleNamespace(send=lambda *_: None)
    page.context = SimpleNamespace(new_cdp_session=lambda _: session, new_page=lambda: page, close=lambda: None)
    browser = SimpleNamespace(new_context=lambda **_: page.context)
    playwright = SimpleNamespace(chromium=SimpleNamespace(launch=lambda **_: browser))
    _instead(monkeypatch, module, serving=lambda: nullcontext(SimpleNamespace(url="")))
    _instead(monkeypatch, module, sync_playwright=lambda: nullcontext(playwright), chromium_options=dict)
    return ["--seconds", "0.01"]


def _quality(monkeypatch, module: ModuleType) -> list[str]:
    def nothing(job):
        return module.Result(*job[:3], kl=NAN, standard_error=NAN, steps=0, parameters=0, log_prob=np.full(3, NAN))

    _instead(monkeypatch, module, train=nothing)
    _instead(monkeypatch, runs, ProcessPoolExecutor=ThreadPoolExecutor)
    return ["--sets", "moons", "--contenders", "ours"]


def _evaluator(monkeypatch, module: ModuleType) -> list[str]:
    browser = SimpleNamespace(close=lambda: None)
    playwright = SimpleNamespace(chromium=SimpleNamespace(launch=lambda **_: browser))
    found = dict.fromkeys(module.NAMES, 0.0)
    _instead(monkeypatch, module, course=lambda pictures: [], drawn=lambda *_: found)
    _instead(monkeypatch, module, sync_playwright=lambda: nullcontext(playwright), chromium_options=dict)
    return []


def _engine(monkeypatch, module: ModuleType) -> list[str]:
    _instead(monkeypatch, module, taken=lambda *_: {"steps/s": 0.0})
    return ["--runs", "2", "--rounds", "1"]


def _activations(monkeypatch, module: ModuleType) -> list[str]:
    def nothing(job):
        moment = module.Moment(0, 0.0, NAN, NAN, NAN, NAN, NAN, NAN)
        return module.Result(*job[:3], at_steps=moment, at_seconds=replace(moment), diverged=True)

    _instead(monkeypatch, module, train=nothing)
    _instead(monkeypatch, runs, ProcessPoolExecutor=ThreadPoolExecutor)
    return ["--seeds", "1", "--sets", "checkerboard", "--activations", "sine"]


def _joint(monkeypatch, module: ModuleType) -> list[str]:
    def nothing(job):
        return module.Result(*job[:4], 0, NAN, NAN, NAN, NAN, NAN, 0.0)

    _instead(monkeypatch, module, train=nothing)
    _instead(monkeypatch, runs, ProcessPoolExecutor=ThreadPoolExecutor)
    return ["--seeds", "1", "--sets", "noisymoons"]


def _compare(monkeypatch, module: ModuleType) -> list[str]:
    return ["--minutes", "0"]


def _dimensions(monkeypatch, module: ModuleType) -> list[str]:
    nothing = module.AtDim(2, None, None, None, None)
    _instead(monkeypatch, module, costs=lambda *of: [nothing], gaussian_bits=lambda data: Estimate(1.0, 0.1))
    return ["--repeat", "1"]


def _dimensions_digits(monkeypatch, module: ModuleType) -> list[str]:
    found = module.AtDim(2, 1.0, 1.0, Estimate(1.0, 0.1), Estimate(1.0, 0.1))
    _instead(
        monkeypatch,
        module,
        costs=lambda shared, seed, largest: [found],
        gaussian_bits=lambda data: Estimate(1.0, 0.1),
        train=lambda seed, steps, every: [],
    )
    return ["--repeat", "1", "--largest", "2"]


def _dimensions_tables(monkeypatch, module: ModuleType) -> list[str]:
    _instead(monkeypatch, module, by_gaussian=lambda X, held: NAN, by_residual_flow=lambda *table: 1.0, SPLINES=())
    return ["--tables", "iris", "--seeds", "1", "--sizes", "1x2"]


def _hostile(monkeypatch, module: ModuleType) -> list[str]:
    _instead(monkeypatch, module, of_files=lambda length: [])
    return ["--formulas", "1"]


def _hostile_formulas(monkeypatch, module: ModuleType) -> list[str]:
    _instead(monkeypatch, module, of_files=lambda length: [(1.0, "a file")], of_formulas=lambda texts: [])
    return ["--formulas", "1"]


def _cluster(monkeypatch, module: ModuleType) -> list[str]:
    nowhere = SimpleNamespace(nodes=lambda count: nullcontext(SimpleNamespace(address="")))
    _instead(
        monkeypatch,
        module,
        ray_cluster=nowhere,
        trained=lambda address, workers, steps, seed: (0.0, 0.0),
        until_compiled=lambda address: None,
    )
    return ["--rounds", "1"]


def _traces(monkeypatch, module: ModuleType) -> list[str]:
    nothing = [module.Result("digits", way, 1, NAN, NAN, 0) for way in module.ways(Roulette())]
    monkeypatch.setitem(module.SETS, "digits", module.Set("bits", lambda seed: nothing))
    _instead(monkeypatch, runs, ProcessPoolExecutor=ThreadPoolExecutor)
    return ["--sets", "digits", "--seeds", "1"]


def _trained(monkeypatch, module: ModuleType) -> list[str]:
    _instead(monkeypatch, module, cases=lambda: [])
    return ["--peer", "."]


def _trained_refused(monkeypatch, module: ModuleType) -> list[str]:
    _instead(monkeypatch, module, compared=lambda *_: {"refused": "built / not built"})
    return ["--peer", "."]


EMPTIED = {
    "activations": [_activations],
    "cluster": [_cluster],
    "compare": [_compare],
    "dense": [_compare],
    "dimensions": [_dimensions, _dimensions_digits, _dimensions_tables],
    "estimator": [_estimator],
    "evaluator": [_evaluator],
    "hostile": [_hostile, _hostile_formulas],
    "joint": [_joint],
    "engine": [_engine],
    "pictures": [_pictures],
    "quality": [_quality],
    "roulette": [_roulette],
    "sessions": [_sessions],
    "speed": [_speed],
    "traces": [_traces],
    "trained": [_trained, _trained_refused],
}


def test_every_benchmark_is_held_to_it():
    names = {module.name for module in pkgutil.iter_modules(benchmarks.__path__)}
    assert names - NOT_BENCHMARKS == set(EMPTIED)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "emptied"),
    [(name, emptied) for name, all in EMPTIED.items() for emptied in all],
    ids=lambda part: getattr(part, "__name__", part),
)
def test_what_measured_nothing_fails(monkeypatch, name, emptied):
    module = importlib.import_module(f"tests.benchmarks.{name}")
    monkeypatch.setattr(sys, "argv", [name, *emptied(monkeypatch, module)])
    with pytest.raises(SystemExit, match="nothing was measured"):
        module.main()


@pytest.mark.parametrize(
    "rows",
    [[], [{}], [{"steps": 0}], [{"steps": 3}, {"steps": NAN}], [{"steps": None}], [{"steps": 1, "KL": float("inf")}]],
    ids=str,
)
def test_nothing_is_no_measurement(rows):
    with pytest.raises(SystemExit) as failure:
        measured(iter(rows), "a benchmark")
    assert failure.value.code not in (None, 0)
    assert "a benchmark" in str(failure.value)


def test_what_was_measured_passes():
    measured([{"steps": 3, "bias": -0.2}, {"steps": 1, "bias": 0.1}], "a benchmark")
