import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.setup import Setup, query_of, setup_from
from resflow_core.datasets import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.log_det import LOG_DETS, Roulette, Truncated
from resflow_core.roulette import Geometric
from resflow_core.settings import settings_of
from resflow_core.training import TrainConfig


def any_value(kind, limits):
    if limits.is_variant:
        return st.one_of([any_config(choice) for choice in limits.choices.values()])
    if limits.choices is not None:
        return st.sampled_from(sorted(limits.choices))
    if kind is bool:
        return st.booleans()
    return (st.integers if kind is int else st.floats)(limits.low, limits.high)


def any_config(cls):
    return st.builds(cls, **{name: any_value(f.type, limits) for name, (f, limits) in settings_of(cls).items()})


any_setup = st.builds(
    lambda setup, flow, train: dataclasses.replace(setup, flow=flow, train=train),
    any_config(Setup),
    any_config(FlowConfig),
    any_config(TrainConfig),
)


@settings(max_examples=200, deadline=None)
@given(any_setup)
def test_a_link_says_every_setting_and_gives_them_back(setup):
    assert setup_from(query_of(setup)) == (setup, [])


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from([*query_of(Setup()), "log_det.law.p", "x"]), st.text(max_size=20), max_size=6))
def test_no_link_whatever_breaks_the_page(query):
    setup, refused = setup_from(query)
    assert setup_from(query_of(setup)) == (setup, [])
    assert len(refused) <= len(query)


def test_the_settings_of_a_variant_stand_under_its_name():
    setup = Setup(train=TrainConfig(log_det=Roulette(Geometric(0.3, 2), "rademacher", n_probes=4, shared=True)))
    query = query_of(setup)
    assert {k: v for k, v in query.items() if k.startswith("log_det")} == {
        "log_det": "roulette",
        "log_det.law": "geometric",
        "log_det.law.p": "0.3",
        "log_det.law.n_exact": "2",
        "log_det.probe": "rademacher",
        "log_det.n_probes": "4",
        "log_det.shared": "True",
    }


def test_a_link_may_leave_settings_out():
    setup, refused = setup_from({"log_det": "truncated", "learning_rate": "1e-3", "data": "moons"})
    assert refused == []
    assert setup == Setup("moons", train=TrainConfig(log_det=Truncated(), learning_rate=1e-3))


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("blocks", "400", "`blocks = 400`: use a value from 1 to 32. It stays at 10."),
        ("blocks", "2.5", "`blocks = 2.5`: use a whole number from 1 to 32. It stays at 10."),
        ("width", "1000000", "`width = 1000000`: use a value from 2 to 256. It stays at 64."),
        ("batch", "many", "`batch = many`: use a whole number from 2 to 4096. It stays at 256."),
        ("learning_rate", "nan", "`learning_rate = nan`: use a value from 1e-05 to 0.1."),
        ("budget", "1", "`budget = 1`: use a value from 0.05 to 0.999."),
        ("activation", "swish", "`activation = swish`: use one of lipswish,"),
        ("data", "mnist", "`data = mnist`: use one of checkerboard,"),
        ("log_det", "magic", "`log_det = magic`: use one of exact, truncated, roulette. It stays at exact."),
        ("actnorm", "maybe", "`actnorm = maybe`: use True or False. It stays at True."),
        ("colour", "red", "`colour`: there is no such setting."),
    ],
)
def test_what_a_link_does_not_get_is_named_with_the_limit_and_the_rest_is_kept(name, text, says):
    setup, refused = setup_from({name: text, "seed": "7"})
    assert setup == Setup(seed=7)
    assert len(refused) == 1
    assert refused[0].startswith(says)


def test_other_peoples_text_is_shown_short_and_without_markup():
    _, refused = setup_from({"x` ![p](http://a/b) `y" + "z" * 99: "1", "blocks": "`4\n`" + "0" * 99})
    assert all(len(sentence) < 130 and sentence.count("`") == 2 for sentence in refused)


def test_only_training_changes_keep_the_run():
    setup = Setup()
    assert setup.same_run(dataclasses.replace(setup, train=TrainConfig(batch=10)))
    for changed in ({"seed": 1}, {"data": "moons"}, {"flow": FlowConfig(blocks=2)}):
        assert not setup.same_run(dataclasses.replace(setup, **changed))


def test_every_entry_of_every_registry_can_be_linked_to():
    for name in DATASETS:
        assert setup_from({"data": name})[0].data == name
    for name, kind in LOG_DETS.items():
        assert type(setup_from({"log_det": name})[0].train.log_det) is kind
