"""A step of all that is trained, here and in another checkout of this project, in turns: how many times as long one
takes here.

The cases are a covering design: any two levels of two factors meet in one of them. Factors are who trains (the app, a
fit of the library, a loop of one's own with `log_prob` and `backward`, and beside them a density grid and samples), the
flow, its log det, the dimension, the type of its numbers and what computes. One thread, CPU time, each case in one
process of each checkout. `make benchmarks` leaves it out, since it has no other checkout.

    python -m tests.benchmarks.trained --peer CHECKOUT [--rounds 5] [--only TEXT]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[2]
FACTORS: dict[str, list[Any]] = {
    "who": ["app", "fit", "loop", "grid", "samples"],
    "flow": [
        "sine", "lipswish", "maxmin", "clipswish", "formula", "two layers", "dense", "norms inf", "norms learned",
        "hard", "hybrid", "conditional",
    ],
    "log_det": ["exact", "truncated", "roulette", "term by term", "in the forward pass"],
    "dim": [2, 8, 64],
    "dtype": ["float32", "float64"],
    "backend": ["torch", "numba"],
}  # fmt: skip
# Beside the covering design: what is trained most.
USUAL = [
    {"who": "app", "flow": "sine", "log_det": log_det, "dim": 2, "dtype": "float32", "backend": backend}
    for log_det in ("exact", "roulette")
    for backend in ("torch", "numba")
]
BATCH, LEAST_SECONDS, MOST = 256, 0.2, 1.2
SETTINGS: dict[str, dict[str, Any]] = {
    "lipswish": {"activation": "lipswish"},
    "maxmin": {"activation": "maxmin"},
    "clipswish": {"activation": "clipswish"},
    "formula": {"activation": "=tanh(z) + z / 4"},
    "two layers": {"hidden_layers": 2},
    "dense": {"branch": "dense", "hidden_layers": 2},
    "norms inf": {"norms": "inf"},
    "norms learned": {"norms": "learned"},
    "hard": {"activation": "celu"},
}


def counted(case: dict[str, Any]) -> list[str]:
    """The factors that mean something in a case: the app has float32 and no contexts, kernels the plane."""
    names = ["who", "flow", "log_det", "dim"]
    if case["flow"].startswith("norms") and case["who"] in ("fit", "loop"):
        names.remove("flow")  # the library has no other norms
    if case["who"] in ("fit", "loop"):
        names.append("dtype")
    if case["who"] == "samples":
        names.remove("log_det")
    if case["dim"] == 2 and case["who"] != "loop":
        names.append("backend")
    return names


def cases() -> list[dict[str, Any]]:
    """All of them, each with the levels that its factors have."""
    from tests.covering import covering

    found = []
    for case in covering(FACTORS, counted):
        named = {name: case[name] if name in counted(case) else FACTORS[name][0] for name in FACTORS}
        if named["flow"] == "hybrid":
            named["who"] = "app"
        if named["flow"] == "conditional" and named["who"] == "app":
            named["who"] = "fit"
        if named["who"] in ("grid", "samples"):
            named["log_det"] = "exact"
        if named not in found:
            found.append(named)
    return [*USUAL, *(case for case in found if case not in USUAL)]


def work_of(case: dict[str, Any]) -> tuple[Callable[[], object], int]:
    """What is timed, and how many steps it takes at once. Only names that both checkouts have."""
    import torch

    import resflow_core as rf
    from resflow_core.hybrid import HybridConfig
    from resflow_core.log_det import Exact, Roulette, Truncated
    from resflow_core.training.trainer import HybridTrainConfig, TrainConfig, Trainer

    torch.set_num_threads(1)
    torch.manual_seed(0)
    log_det = {
        "exact": Exact(),
        "truncated": Truncated(),
        "roulette": Roulette(),
        "term by term": Roulette(gradient="plain"),
        "in the forward pass": Roulette(gradient="in_forward"),
    }[case["log_det"]]
    dim, settings = case["dim"], dict(SETTINGS.get(case["flow"], {}))
    points = torch.randn(2_000, dim)

    class Points:
        title = "points"

        def sample(self, n: int, generator: torch.Generator) -> torch.Tensor:
            return torch.randn(n, dim, generator=generator)

        def sample_labelled(self, n: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
            x = self.sample(n, generator)
            return x, (x[:, 0] > 0).long()

        classes = "left", "right"

    if case["who"] == "app" or (case["who"] in ("grid", "samples") and case["flow"] not in ("conditional",)):
        if case["flow"] == "hard":
            from resflow_core.norms.constraints import Hard

            settings["constraint"] = Hard()
        config: Any = rf.FlowConfig(dim=dim, **settings)
        train: Any = TrainConfig(batch=BATCH, log_det=log_det)
        source: Any = Points()
        if case["flow"] == "hybrid":
            config, train = HybridConfig(config), HybridTrainConfig(batch=BATCH, log_det=log_det)
            source = Points() if dim != 2 else rf.DATASETS["moons"]
        trainer = Trainer(config, train, source, 0, exact_losses=dim == 2, backend=case["backend"])
        if case["who"] == "app":
            return trainer.step, 1
        flow = trainer.flow
        for _ in range(2):
            trainer.step()
        x = torch.randn(2_500 if dim < 64 else 100, dim)
        with torch.no_grad():
            z = flow(x[:500])
        if case["who"] == "samples":
            return lambda: flow.inverse(z), 1

        def grid() -> None:
            with torch.no_grad():
                flow.log_prob(x)

        return grid, 1
    context = 3 if case["flow"] == "conditional" else 0
    contexts = torch.randn(len(points), context) if context else None
    dtype = getattr(torch, case["dtype"])
    settings = {name: value for name, value in settings.items() if name != "norms"}  # the library has the 2-norm
    flow = rf.ResidualFlow(dim, context=context, blocks=24, width=32, log_det=log_det, dtype=dtype, **settings)
    if case["who"] == "fit":
        steps = 12 if dim < 64 else 4

        def fit() -> None:
            flow.fit(points, steps=steps, validation=0, context=contexts, batch=BATCH, progress=False)

        return fit, steps
    x, c = points[:BATCH].to(dtype), None if contexts is None else contexts[:BATCH]
    if case["who"] == "loop":

        def loop() -> None:
            flow.zero_grad()
            (-flow.log_prob(x, c).mean()).backward()

        return loop, 1

    def of_values() -> None:
        with torch.no_grad():
            flow.sample(500, context=None if c is None else c[0]) if case["who"] == "samples" else flow.log_prob(x, c)

    return of_values, 1


def child() -> None:
    """Builds a case and times it, as it is told, a line each: {"case": ...}, then {"time": true}, any number of
    times."""
    work, steps = None, 1
    for line in sys.stdin:
        told = json.loads(line)
        try:
            if "case" in told:
                work, steps = work_of(told["case"])
                work()
                answer: Any = "built"
            else:
                assert work is not None
                count, start = 0, time.process_time()
                while not count or time.process_time() - start < LEAST_SECONDS:
                    work()
                    count += 1
                answer = 1e3 * (time.process_time() - start) / count / steps
        except Exception as error:  # said in the table: one of the two may not have this case
            answer = f"{type(error).__name__}: {error}"
        print(json.dumps({"answer": answer}), flush=True)


class Measured:
    """A process of a checkout that builds and times cases."""

    def __init__(self, checkout: Path) -> None:
        environment = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), "--child"],
            cwd=checkout, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ask(self, what: dict[str, Any]) -> Any:
        assert self._process.stdin and self._process.stdout
        print(json.dumps(what), file=self._process.stdin, flush=True)
        for line in self._process.stdout:
            if line.startswith('{"answer"'):
                return json.loads(line)["answer"]
        raise SystemExit("A process that is measured has ended.")

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


@contextmanager
def both(peer: Path) -> Iterator[tuple[Measured, Measured]]:
    pair = Measured(HERE), Measured(peer)
    try:
        yield pair
    finally:
        for one in pair:
            one.close()


def compared(case: dict[str, Any], peer: Path, rounds: int) -> dict[str, Any]:
    """Milliseconds of a step here and there, the medians of rounds in turns, and how many times as long it takes
    here, the median of the ratios of the rounds."""
    with both(peer) as (here, there):
        said = [one.ask({"case": case}) for one in (here, there)]
        if said != ["built", "built"]:
            return {"refused": " / ".join(map(str, said))}
        pairs = [[one.ask({"time": True}) for one in (here, there)] for _ in range(rounds)]
        if not all(isinstance(number, float) for pair in pairs for number in pair):
            return {"refused": str(pairs[0])}
    ratios = [mine / other for mine, other in pairs]
    mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    return {"here": mine, "peer": other, "ratio": statistics.median(ratios)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="")
    parser.add_argument("--child", action="store_true")
    args = parser.parse_args()
    if args.child:
        child()
        return
    from tests.benchmarks.measured import machine, measured

    if args.peer is None:
        raise SystemExit("--peer: name the checkout to compare with; without it nothing was measured.")
    print(f"{machine()}\n")
    print("| " + " | ".join(FACTORS) + " | here, ms | there, ms | ratio |")
    print("|---" * (len(FACTORS) + 3) + "|")
    rows = []
    for case in cases():
        words = [str(case[name]) for name in FACTORS]
        if args.only not in " ".join(words):
            continue
        row = compared(case, args.peer.resolve(), args.rounds)
        if "refused" in row:
            print("| " + " | ".join([*words, row["refused"][:80], "", ""]) + " |", flush=True)
            continue
        rows.append(row)
        mark = " **slower**" if row["ratio"] > MOST else ""
        print(f"| {' | '.join(words)} | {row['here']:.1f} | {row['peer']:.1f} | {row['ratio']:.2f}{mark} |", flush=True)
    measured(rows, "trained")
    ratios = sorted(row["ratio"] for row in rows)
    print(f"\n{len(ratios)} cases: median {statistics.median(ratios):.2f}, largest {ratios[-1]:.2f}.")


if __name__ == "__main__":
    main()
