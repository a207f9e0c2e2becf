"""Flows to be trained side by side: which, and what tells them apart."""

from dataclasses import replace

from app.engine.experiment import Arm
from app.setup import Setup
from app.words import order_name
from resflow_core.flow import FlowConfig
from resflow_core.lipschitz import NORM_CHAINS, NormChain
from resflow_core.training.parameter_count import parameter_count

BUDGETS = (0.3, 0.6, 0.9, 0.99)
# (blocks, hidden layers) among which parameters are shared out.
SHAPES = ((24, 1), (10, 2), (4, 4))


def budgets(setup: Setup) -> dict[str, Arm]:
    """The page's flow under four budgets."""
    return {f"L = {budget:g}": _arm(setup, replace(setup.flow, budget=budget)) for budget in BUDGETS}


def shapes(setup: Setup) -> dict[str, Arm]:
    """Many shallow blocks to few deep ones, as wide as brings their parameters nearest to those of 24 blocks of 32."""
    # Of the flow that everybody begins with: going on with an arm must not change what it is compared with.
    usual = FlowConfig()
    wanted = parameter_count(
        replace(setup.flow, blocks=usual.blocks, width=usual.width, hidden_layers=usual.hidden_layers)
    )
    arms = {}
    for blocks, layers in SHAPES:
        flow = replace(setup.flow, blocks=blocks, hidden_layers=layers)
        widths = range(2, 257)
        width = min(widths, key=lambda w: abs(parameter_count(replace(flow, width=w)) - wanted))
        flow = replace(flow, width=width)
        depth = f"{layers} hidden layer{'s' * (layers > 1)} of {width}"
        arms[f"{blocks} blocks, {depth}"] = _arm(setup, flow)
    return arms


def norms(setup: Setup) -> dict[str, Arm]:
    """The page's flow with its layers constrained in other norms."""
    return {_of_norms(chain): _arm(setup, replace(setup.flow, norms=name)) for name, chain in NORM_CHAINS.items()}


def _of_norms(chain: NormChain) -> str:
    if chain.learned:
        return f"Learned norms, from {order_name(chain.outer)}"
    return f"{chain.title}-norm" if chain.inner == chain.outer else f"Norms {chain.title}"


def _arm(setup: Setup, flow: FlowConfig) -> Arm:
    return Arm(flow, setup.train, setup.source)
