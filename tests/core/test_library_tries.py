"""What somebody who knows torch, zuko and scikit-learn would type first: it works, or is refused with the remedy."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

import resflow_core as rf
from tests.core.oracles import seeded

RNG = np.random.default_rng(0)
X = RNG.normal(20, 3, (60, 2))
C = RNG.normal(size=(60, 3))
SMALL = {"blocks": 1, "width": 4}


@pytest.fixture(scope="module")
def flow():
    return rf.ResidualFlow(2, **SMALL).fit(X, steps=3)


@pytest.fixture(scope="module")
def given():
    return rf.ResidualFlow(2, context=3, **SMALL).fit(X, context=C, steps=3)


def frame():
    return pytest.importorskip("pandas").DataFrame(X, columns=["a", "b"])


def trained_by_hand():
    flow = rf.ResidualFlow(2, **SMALL)
    optimiser = torch.optim.Adam(flow.parameters(), 1e-3)
    loss = -flow.log_prob(torch.randn(30, 2, generator=seeded(0))).mean()
    loss.backward()
    optimiser.step()
    return loss.item()


def a_clone(flow):
    other = rf.ResidualFlow(2, **SMALL)
    other.load_state_dict(flow.state_dict())
    return other.log_prob(X)


def scored(flow):
    with torch.no_grad():
        return float(flow.log_prob(X).mean())


def on_a_grid(flow):
    x, y = np.meshgrid(np.linspace(10, 30, 5), np.linspace(10, 30, 4))
    return flow.log_prob(np.stack([x, y], -1)).exp().shape == (4, 5)


def in_a_sequence():
    g = nn.Sequential(rf.LipschitzLinear(2, 8, cap=0.9), nn.ELU(), rf.LipschitzLinear(8, 2, cap=0.9))
    return rf.ResidualBlock(g)(torch.randn(5, 2, generator=seeded(0)))


WORKS = {
    "no argument at all": lambda flow, given: rf.ResidualFlow(),
    "features by place": lambda flow, given: rf.ResidualFlow(3).features == 3,
    "fit in one line": lambda flow, given: rf.ResidualFlow(2, **SMALL).fit(X, steps=2).sample(3),
    "a data frame": lambda flow, given: rf.ResidualFlow(2, **SMALL).fit(frame(), steps=2),
    "a float16 array": lambda flow, given: rf.ResidualFlow(2, **SMALL).fit(X.astype(np.float16), steps=2),
    "whole numbers": lambda flow, given: rf.ResidualFlow(2, **SMALL).fit((10 * X).astype(int), steps=2),
    "a read-only slice": lambda flow, given: flow.log_prob(np.broadcast_to(X[0], (4, 2))[::-1]),
    "a single point": lambda flow, given: flow.log_prob(X[0]).shape == (),
    "a list": lambda flow, given: flow.log_prob([20.0, 20.0]),
    "sample without a shape": lambda flow, given: flow.sample().shape == (2,),
    "sample of a number": lambda flow, given: flow.sample(5).shape == (5, 2),
    "sample with torch.Size": lambda flow, given: flow.sample(torch.Size([2, 3])),
    "sample with a seed": lambda flow, given: flow.sample(5, seed=3),
    "sample with a generator": lambda flow, given: flow.sample(5, generator=torch.Generator()),
    "a seed of NumPy": lambda flow, given: rf.ResidualFlow(2, seed=np.random.default_rng(1)),
    "a NumPy whole number as seed": lambda flow, given: rf.ResidualFlow(2, seed=np.int64(1)),
    "zuko's way": lambda flow, given: flow.distribution().log_prob(flow.distribution().sample((3,))),
    "a context as zuko has it": lambda flow, given: given.condition(C[0]).sample((4,)).shape == (4, 2),
    "contexts of all points": lambda flow, given: given.log_prob(X, C).shape == (60,),
    "context by name": lambda flow, given: given.sample(2, context=C[:5]).shape == (2, 5, 2),
    "there and back": lambda flow, given: flow.inverse(flow(X[:3])),
    "scores without gradients": lambda flow, given: scored(flow),
    "a grid for a contour plot": lambda flow, given: on_a_grid(flow),
    "double": lambda flow, given: rf.ResidualFlow(2, **SMALL).double().log_prob(X / 20),
    "to a device": lambda flow, given: rf.ResidualFlow(2, **SMALL).to("cpu").log_prob(X / 20),
    "train and eval": lambda flow, given: flow.eval().train().log_prob(X),
    "a loop of one's own": lambda flow, given: trained_by_hand(),
    "another's state": lambda flow, given: a_clone(flow),
    "printing it": lambda flow, given: "60" not in repr(rf.ResidualFlow(2)) and "54 points" in repr(flow),
    "the loss afterwards": lambda flow, given: flow.fitted.validation_nll > 0,
    "log_det by name": lambda flow, given: flow.log_prob(X, log_det="roulette", seed=0),
    "log_det as a class": lambda flow, given: rf.ResidualFlow(2, log_det=rf.Roulette),
    "an activation of torch": lambda flow, given: rf.ResidualFlow(2, activation=torch.tanh),
    "a formula as a text": lambda flow, given: rf.ResidualFlow(2, activation="=sin(z)"),
    "a generator's state stays": lambda flow, given: rf.ResidualFlow(2, seed=torch.Generator().manual_seed(3)),
    "a base with a vector": lambda flow, given: rf.ResidualFlow(
        2, base=torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
    ),
    "gradient in x": lambda flow, given: torch.func.grad(lambda x: flow.log_prob(x))(torch.tensor([20.0, 21.0])),
    "vmap": lambda flow, given: torch.func.vmap(flow.log_prob)(torch.as_tensor(X)),
    "a layer in a network": lambda flow, given: in_a_sequence(),
    "a layer by keywords": lambda flow, given: rf.LipschitzLinear(in_features=2, out_features=3, cap=0.5),
    "a layer in float64": lambda flow, given: rf.LipschitzLinear(2, 3).double()(torch.ones(2).double()),
    "variance of a list": lambda flow, given: rf.roulette_variance([[0.5]]) > 0,
}

REFUSED = {
    "points the wrong way round": (lambda flow: flow.log_prob(X[:5].T), r"\(2, 5\).*\.mT"),
    "fit without points": (lambda flow: rf.ResidualFlow(2).fit([]), r"shape \(0,\)"),
    "fit of a text": (lambda flow: rf.ResidualFlow(2).fit("mine.npy"), "array of numbers"),
    "fit of three columns": (lambda flow: rf.ResidualFlow(2).fit(RNG.normal(size=(30, 3))), r"\(\.\.\., 2\) is needed"),
    "features as an array": (lambda flow: rf.ResidualFlow(X), r"Pass X\.shape\[1\]"),
    "one shape too many": (lambda flow: rf.ResidualFlow(2).fit(X[None]), r"reshape\(-1, 2\)"),
    "an unknown estimator": (lambda flow: flow.log_prob(X, log_det="hutchinson"), "use one of exact"),
    "a context where there is none": (lambda flow: flow.log_prob(X, C), "context=k"),
    "a base on half of the line": (
        lambda flow: rf.ResidualFlow(2, base=torch.distributions.Gamma(1.0, 1.0)),
        "whole line",
    ),
    "nn.ReLU as an activation": (lambda flow: rf.ResidualFlow(2, activation=nn.ReLU()), "use one of"),
    "a module without its bound": (lambda flow: rf.ResidualBlock(nn.Linear(2, 2)), "pass lipschitz="),
    "a module in to_zuko": (lambda flow: rf.to_zuko(nn.Linear(2, 2)), "Wrap it"),
    "a file of torch.save": (lambda flow: rf.load(saved_by_torch(flow)), "torch.load"),
    "seconds as a text": (lambda flow: rf.ResidualFlow(2).fit(X, seconds="30"), "above 0"),
    "seeds below 0": (lambda flow: rf.ResidualFlow(2, seed=-1), "from 0"),
    "too large a block": (lambda flow: rf.ResidualFlow(2, width=1_000), "from 2 to 256"),
}


def saved_by_torch(flow):
    import tempfile
    from pathlib import Path

    path = Path(tempfile.mkdtemp()) / "flow.pt"
    torch.save(flow, path)
    return path


def test_there_are_more_than_forty():
    assert len(WORKS) + len(REFUSED) > 40


@pytest.mark.parametrize("name", WORKS)
def test_it_works(name, flow, given):
    state = torch.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # of torch itself
        found = WORKS[name](flow, given)
    assert found is not None
    assert found is not False
    if isinstance(found, torch.Tensor):
        assert found.isfinite().all()
    if "layer" not in name:
        assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_with_the_remedy(name, flow):
    call, words = REFUSED[name]
    with pytest.raises(ValueError, match=words) as raised:
        call(flow)
    assert len(str(raised.value)) < 500
