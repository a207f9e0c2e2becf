"""The evaluator of a flow in a real browser, below a base path and under the app's content security policy: in its
worker, without one, and by WebGL, against the core."""

import base64

import numpy as np
import pytest
import torch

from resflow_core import branches, expressions, fast, norms  # noqa: F401 -- they register what a flow is built of
from resflow_core.activations import ACTIVATIONS
from resflow_core.flow import FlowConfig
from resflow_core.measure import grid_points
from resflow_core.residual import BRANCHES
from tests.core.oracles import seeded
from tests.covering import covering
from tests.web.site import MODULES, message_of, modules_served

BASE = "/a/base/path/"
WINDOW, SIDE = ((-3.0, 3.0), (-2.0, 2.5)), 60
WORST, MEAN = 0.03, 0.003  # nats
CASES = [
    *covering({"activation": ["sine", "cpila", "maxmin"], "branch": [*BRANCHES], "hidden_layers": [1, 2]}),
    *({"activation": name} for name in [*ACTIVATIONS, "=sin(pi*z) + (2 + sin(z))^(-3/2)"]),
]

# What the page does: an evaluator for each flow, and all that is asked of it.
ASK = """async ([address, message, options, grid, noise]) => {
  const { openEvaluator } = await import(address);
  const evaluator = openEvaluator(options);
  const buffer = Uint8Array.from(atob(message), (c) => c.charCodeAt(0)).buffer;
  evaluator.take(buffer);
  const [density, samples, terms] = await Promise.all([
    evaluator.density(grid), evaluator.samples(Float32Array.from(noise)), evaluator.terms([0.5, -0.25]),
  ]);
  const found = { logProb: [...density.logProb], x: [...samples.points], refusal: samples.refusal,
    ofPoint: terms.logProb, ability: evaluator.ability(), refuses: evaluator.refuses() };
  evaluator.close();
  return found;
}"""


@pytest.fixture(scope="module")
def address():
    """Of a page below a base path, with the modules beside it."""
    with modules_served(BASE) as address:
        yield address


@pytest.fixture
def page(chromium, address):
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(address)
        yield page


@torch.no_grad()
def flow_of(case: dict):
    flow = FlowConfig(**{"blocks": 6, "width": 12} | case).build(seeded(1))
    for k, (name, parameter) in enumerate(flow.named_parameters()):
        parameter += (1.0 if name.endswith("raw") else 0.2) * torch.randn(parameter.shape, generator=seeded(k))
    return flow


def sent(flow) -> str:
    return base64.b64encode(message_of(flow, step=3)).decode()


NOISE = torch.randn(50, 2, generator=seeded(7))


def asked(page, address, flow, **options) -> dict:
    grid = {"window": WINDOW, "columns": SIDE, "rows": SIDE}
    arguments = [f"{address}{MODULES}/flow/client.js", sent(flow), options, grid, NOISE.flatten().tolist()]
    return page.evaluate(ASK, arguments)


@torch.no_grad()
def errors_of(found: dict, flow) -> np.ndarray:
    """Of log p on the grid, in nats."""
    return np.abs(np.array(found["logProb"]) - flow.double().log_prob(grid_points(WINDOW, SIDE).double()).numpy())


def test_flows_are_those_of_the_core_in_a_worker_without_one_and_by_the_shader(page, address):
    flow, workers = flow_of({}), []
    page.on("worker", lambda worker: workers.append(worker.url))
    for engine in ("single", "double"):
        for worker in (True, False):
            found = asked(page, address, flow, force=engine, worker=worker)
            assert found["ability"]["engine"] == engine and not found["refuses"] and not found["refusal"]
            assert errors_of(found, flow).max() < 1e-3
            with torch.no_grad():
                z = flow(torch.tensor(found["x"], dtype=torch.float64).view(-1, 2))
                of_point = float(flow.log_prob(torch.tensor([[0.5, -0.25]], dtype=torch.float64)))
            assert float((z - NOISE).abs().max()) < 1e-4
            assert abs(found["ofPoint"] - of_point) < 1e-4
            assert len(workers) == 1 + (engine == "double"), "it ends with the last evaluator"
    assert all(url == f"{address}{MODULES}/flow/worker.js" for url in workers)
    for case in CASES:
        flow = flow_of(case)
        found = asked(page, address, flow, force="webgl")
        assert found["ability"]["engine"] == "webgl", case
        errors = errors_of(found, flow)
        assert errors.max() <= WORST and errors.mean() <= MEAN, case


LOSE = """async ([address, message, grid]) => {
  const contexts = [];
  const { getContext } = HTMLCanvasElement.prototype;
  HTMLCanvasElement.prototype.getContext = function (...given) {
    const context = getContext.apply(this, given);
    contexts.push(context);
    return context;
  };
  delete globalThis.OffscreenCanvas;
  const { openEvaluator } = await import(address);
  const evaluator = openEvaluator({ force: "webgl", worker: false });
  evaluator.take(Uint8Array.from(atob(message), (c) => c.charCodeAt(0)).buffer);
  const drawn = [];
  drawn.push([...(await evaluator.density(grid)).logProb], evaluator.ability().engine);
  for (const context of contexts) context.getExtension("WEBGL_lose_context").loseContext();
  drawn.push([...(await evaluator.density(grid)).logProb], evaluator.ability().engine);
  return drawn;
}"""


NOTHING_ELSE = """delete globalThis.WebAssembly; delete globalThis.WebGL2RenderingContext;
delete globalThis.OffscreenCanvas; HTMLCanvasElement.prototype.getContext = () => null"""


def test_a_browser_that_lacks_something_draws_with_the_rest(page, address):
    """After a lost context the next picture is drawn without it, and is the same. Without workers, or with one that
    cannot begin, the page computes; with nothing but JavaScript in double precision."""
    flow = flow_of({"blocks": 2})
    page.route("**/worker.js", lambda route: route.fulfill(status=404, body=""))
    assert errors_of(asked(page, address, flow), flow).max() < 1e-3
    page.unroute("**/worker.js")

    page.goto(address)
    grid = {"window": WINDOW, "columns": SIDE, "rows": SIDE}
    before, engine, after, other = page.evaluate(LOSE, [f"{address}{MODULES}/flow/client.js", sent(flow), grid])
    assert (engine, other) == ("webgl", "single")
    assert np.abs(np.array(before) - np.array(after)).max() < WORST

    page.goto(address)
    page.evaluate(f"delete globalThis.Worker; {NOTHING_ELSE}")
    found = asked(page, address, flow)
    assert found["ability"]["engine"] == "double"
    assert errors_of(found, flow).max() < 1e-4
