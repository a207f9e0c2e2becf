"""How fast a browser computes what is drawn of a flow, by the evaluator below `app/web/flow`, in one Chromium.

A picture is log p on 40 x 40 nodes, a grid of 26 lines and 500 points in all stages, and 500 samples by the inverse, of
the default flow as training moves it. Its time is what the page waits for it. Frames are those of the page meanwhile.
The clock of the page's processor may be slowed down, as that of a phone is. It fails where nothing was measured.

    python -m tests.benchmarks.evaluator [--throttle 1 4] [--engines single double webgl] [--pictures 40]
"""

import argparse
import base64
from collections.abc import Iterator

from playwright.sync_api import Browser, sync_playwright

from resflow_core import branches, expressions, fast, norms  # noqa: F401 -- they register what a flow is built of
from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.training.trainer import TrainConfig, Trainer
from tests.benchmarks.measured import machine, measured
from tests.browser.conftest import chromium_options
from tests.web.site import MODULES, message_of, modules_served

BEFORE, BETWEEN = 300, 10  # steps
NAMES = {
    "picture": "picture, ms", "worst": "9 of 10 within", "rate": "pictures/s", "density": "density", "stages": "stages",
    "samples": "samples", "still": "200 x 200", "frames": "frames/s", "gap": "longest gap, ms",
}  # fmt: skip

PICTURES = """async ([address, course, force]) => {
  const { openEvaluator } = await import(address);
  const flow = openEvaluator({ force });
  const messages = course.map((one) => Uint8Array.from(atob(one), (c) => c.charCodeAt(0)).buffer);
  let state = 1;
  const random = () => (state = (state * 16807) % 2147483647) / 2147483647;
  const normal = () => Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());
  const noise = Float32Array.from({ length: 1000 }, normal);
  const points = Float32Array.from({ length: 2 * (26 * 41 + 500) }, () => 6 * random() - 3);
  const grid = { window: [[-3, 3], [-3, 3]], columns: 40, rows: 40 };
  flow.take(messages[0]);
  await flow.ready;
  const asked = {
    density: () => flow.density(grid), stages: () => flow.stages(points), samples: () => flow.samples(noise),
  };
  const picture = () => Promise.all(Object.values(asked).map((ask) => ask()));
  await picture();
  let [frames, last, gap, isOver] = [0, performance.now(), 0, false];
  requestAnimationFrame(function frame(now) {
    [frames, gap, last] = [frames + 1, Math.max(gap, now - last), now];
    if (!isOver) requestAnimationFrame(frame);
  });
  const timed = async (ask) => {
    const begin = performance.now();
    await ask();
    return performance.now() - begin;
  };
  const [begin, times] = [performance.now(), []];
  for (const message of messages.slice(1)) {
    flow.take(message);
    times.push(await timed(picture));
  }
  const seconds = (performance.now() - begin) / 1000;
  isOver = true;
  const usual = (of) => of.sort((a, b) => a - b)[Math.floor(of.length / 2)];
  const found = { rate: times.length / seconds, frames: frames / seconds, gap, picture: usual(times) };
  found.worst = times[Math.floor(0.9 * times.length)];
  asked.still = () => flow.density({ ...grid, columns: 200, rows: 200 });
  for (const [name, ask] of Object.entries(asked)) {
    const each = [];
    for (let k = 0; k < 5; k++) each.push(await timed(ask));
    found[name] = usual(each);
  }
  found.engine = flow.ability().engine;
  flow.close();
  return found;
}"""


def course(pictures: int) -> list[str]:
    """Messages of the default flow as training moves it."""
    trainer = Trainer(FlowConfig(), TrainConfig(), DATASETS["checkerboard"], seed=0, backend="numba")

    def messages() -> Iterator[str]:
        for steps in [BEFORE, *[BETWEEN] * pictures]:
            for _ in range(steps):
                trainer.step()
            yield base64.b64encode(message_of(trainer.evaluated)).decode()

    return list(messages())


def drawn(browser: Browser, address: str, messages: list[str], engine: str, throttle: float) -> dict[str, float]:
    """What the page measured."""
    page = browser.new_page()
    page.goto(address)
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": throttle})
    found = page.evaluate(PICTURES, [f"{address}{MODULES}/flow/client.js", messages, engine])
    page.close()
    if found.pop("engine") != engine:
        raise SystemExit(f"{engine}: another engine drew.")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--throttle", type=float, nargs="+", default=[1.0, 4.0])
    parser.add_argument("--engines", nargs="+", default=["single", "double", "webgl"])
    parser.add_argument("--pictures", type=int, default=40)
    options = parser.parse_args()
    messages = course(options.pictures)
    print(f"{machine()}\n\n| engine | slower | {' | '.join(NAMES.values())} |\n|{'---|' * (2 + len(NAMES))}")
    with sync_playwright() as playwright, modules_served() as address:
        browser = playwright.chromium.launch(**chromium_options())
        for engine in options.engines:
            for throttle in options.throttle:
                row = drawn(browser, address, messages, engine, throttle)
                measured([row], f"{engine}, {throttle:g} times slower")
                numbers = " | ".join(f"{row[name]:.3g}" for name in NAMES)
                print(f"| {engine} | {throttle:g} | {numbers} |", flush=True)
        browser.close()


if __name__ == "__main__":
    main()
