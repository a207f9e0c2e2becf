"""How many frames a second pages get, and what they cost: the real worker, the page's default flow, no browser.

python -m tests.benchmarks.pictures [--seconds 15] [--pages 1 4]
"""

import argparse
import statistics
import time

from app.engine.messages import Demand, State
from app.engine.remote import RemoteEngine
from app.setup import Setup


def watch(engine: RemoteEngine, pages: int, seconds: float) -> None:
    """Let `pages` runs play for a while, polled once a second each, and print a row of the table."""
    runs = [engine.create(Setup(seed=seed).experiment()) for seed in range(pages)]
    while any(engine.poll(run, Demand()).state is State.LOADING for run in runs):
        time.sleep(0.1)
    for run in runs:
        engine.play(run)
    frames, shares, polls, start = 0, [], [], time.monotonic()
    first = {run: engine.poll(run, Demand()).arms[0].step for run in runs}
    while time.monotonic() - start < seconds:
        time.sleep(1)
        for run in runs:
            before = time.perf_counter()
            report = engine.poll(run, Demand())
            polls.append(time.perf_counter() - before)
            frames += len(report.arms[0].frames)
            shares.append(report.frame_share)
    elapsed = time.monotonic() - start
    steps = sum(engine.poll(run, Demand()).arms[0].step - first[run] for run in runs)
    for run in runs:
        engine.close(run)
    print(
        f"| {pages} | {frames / elapsed / pages:.1f} | {statistics.median(shares):.0%} | {steps / elapsed:.0f} "
        f"| {1e3 * statistics.median(polls):.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--pages", type=int, nargs="+", default=[1, 4, 16])
    args = parser.parse_args()
    engine = RemoteEngine()
    try:
        print("| pages | frames/s a page | share of the worker's time | steps/s, all pages | poll, median ms |")
        print("|---|---|---|---|---|")
        for pages in args.pages:
            watch(engine, pages, args.seconds)
    finally:
        engine.close_all()


if __name__ == "__main__":
    main()
