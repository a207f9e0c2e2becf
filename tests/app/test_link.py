import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app import link
from app.link import BENCHES, MOST_CHANGES, Link, names, query_of, read_link, shortened
from app.setup import CsvChoice, FlowFile, OwnData, SavedFlow, Setup, differences, entries
from resflow_core.data import DATASETS, Table
from resflow_core.flow import FlowConfig
from resflow_core.log_det import LOG_DETS, Exact, Roulette, Truncated
from resflow_core.roulette import Geometric
from resflow_core.settings import refusal, settings_of
from resflow_core.training.trainer import TrainConfig
from tests.app.pages import named

FLOW, TRAIN = Setup().flow, Setup().train


def any_value(kind, limits):
    if limits.is_variant:
        return st.one_of([any_config(choice) for choice in limits.choices.values()])
    if limits.choices is not None:
        return st.sampled_from(sorted(limits.choices))
    if kind is bool:
        return st.booleans()
    if kind is tuple:
        numbers = st.lists(st.floats(limits.low, limits.high), min_size=1, max_size=5)
        return numbers.map(lambda values: tuple(sorted(values, reverse=True))).filter(
            lambda value: refusal(value, tuple, limits) is None
        )
    return (st.integers if kind is int else st.floats)(limits.low, limits.high)


def any_config(cls):
    return st.builds(cls, **{name: any_value(f.type, limits) for name, (f, limits) in settings_of(cls).items()})


def planned(steps_and_configs, train):
    """A plan as it is written: ascending steps, each with something new."""
    changes = []
    for step, config in sorted(steps_and_configs.items()):
        if config != (changes[-1][1] if changes else train):
            changes.append((step, config))
    return tuple(changes)


any_setup = st.builds(
    lambda setup, flow, train, changes: dataclasses.replace(
        setup, flow=flow, train=train, changes=planned(changes, train)
    ),
    any_config(Setup),
    any_config(FlowConfig),
    any_config(TrainConfig),
    st.dictionaries(st.integers(1, 10**9 - 1), any_config(TrainConfig), max_size=3),
)
digest = st.text("0123456789abcdef", min_size=12, max_size=12)
some_text = st.text(min_size=1, max_size=10)


@settings(max_examples=80)
@given(any_setup)
def test_a_link_says_every_setting_and_gives_them_back(setup):
    assert read_link(query_of(setup)) == Link(setup)


@settings(max_examples=30)
@given(
    st.builds(CsvChoice, some_text, digest, some_text, some_text, st.text(max_size=10)),
    st.builds(FlowFile, some_text, digest),
)
def test_a_link_asks_for_the_files_it_was_made_with(choice, file):
    setup = Setup(seed=3, own=OwnData(choice, None), start=SavedFlow(file, b""))
    link = read_link(query_of(setup))
    assert link == Link(Setup(seed=3), (), choice, file)
    assert query_of(link.setup, link.csv, link.flow) == query_of(setup)
    assert query_of(setup) | {"data": "csv"} == query_of(setup)


@pytest.mark.parametrize(
    "query",
    [
        query_of(Setup()),
        query_of(Setup("moons"), controls=()),
        query_of(Setup("moons", train=TrainConfig(log_det=Truncated(3))), controls=["blocks"], step=300),
        {"bench.matrix": "0.9 0.3 0.1 -0.2", "bench.view": "by_hand", "view.data": "0 1"},
        {"blocks": "no number", "nothing": "1"},
    ],
)
def test_a_short_link_asks_for_the_same_and_for_nothing_that_is_so_anyhow(query):
    short = shortened(query)
    assert read_link(short) == read_link(query)
    assert {name: query[name] for name in query if name.startswith("view")}.items() <= short.items()
    for name in short:
        fewer = {other: value for other, value in short.items() if other != name}
        assert name.startswith("view") or read_link(fewer) != read_link(query), name


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("blocks", "400", f"blocks 400 1 32 {FLOW.blocks}"),
        ("width", "1000000", f"width 1000000 2 256 {FLOW.width}"),
        ("batch", "many", f"batch many whole 2 4096 {TRAIN.batch}"),
        ("budget", "1", f"budget 1 0.05 0.999 {FLOW.budget}"),
        ("activation", "swish", "activation swish lipswish"),
        ("log_det", "magic", "log_det magic exact truncated roulette"),
        ("actnorm", "maybe", "actnorm maybe True False"),
        ("colour", "red", "colour setting"),
        ("flow.name", "moons", "flow.digest file"),
        ("changes", "soon", "changes soon whole steps"),
        ("changes", "5:batch=0", f"changes 5 batch 0 2 4096 {TRAIN.batch}"),
        ("changes", "5:blocks=3", "changes 5 blocks setting"),
    ],
)
def test_what_a_link_does_not_get_is_named_with_the_limit_and_the_rest_is_kept(name, text, what):
    link = read_link({name: text, "seed": "7"})
    assert link.setup == Setup(seed=7)
    (sentence,) = link.refused
    assert set(what.split()) <= named(sentence)


def links_to_all(kind, prefix=""):
    """A query for every choice of every setting, and for the limits of every number, with the setting's name."""
    for name, (field, limits) in settings_of(kind).items():
        key = f"{prefix}{name}"
        if limits.choices is not None:
            yield from ((key, {key: choice}) for choice in limits.choices)
        elif field.type is bool:
            yield from ((key, {key: text}) for text in ("True", "False"))
        elif field.type in (int, float):
            ends = [end for end in (limits.low, limits.high) if math.isfinite(end)]
            yield from ((key, {key: repr(field.type(end))}) for end in ends)
        for choice, variant in limits.choices.items() if limits.is_variant else ():
            yield from ((inner, {key: choice} | query) for inner, query in links_to_all(variant, f"{key}."))
    for part in dataclasses.fields(kind):
        if isinstance(part.default_factory, type) and settings_of(part.default_factory):
            yield from links_to_all(part.default_factory, prefix)


@pytest.mark.thorough
def test_every_choice_of_every_setting_and_every_limit_can_be_linked_to():
    asked = set()
    for prefix, kind in {"": Setup, **link.BENCHES}.items():
        usual = query_of(Setup()) | {key: str(value) for key, _, value in entries(kind(), prefix)}
        for name, query in links_to_all(kind, prefix):
            found = read_link(query)
            said = query_of(found.setup, benches=found.benches)
            assert not found.refused, query
            assert said.get(name, usual.get(name)) == query[name], query
            asked.add((name, query[name]))
    assert {("data", name) for name in DATASETS} | {("log_det", name) for name in LOG_DETS} <= asked
    assert {("log_det.law.p", "0.05"), ("compare.d.log_det.law.p", "0.95"), ("blocks", "32")} <= asked


SLOWER = TrainConfig(learning_rate=0.001, batch=128)


def test_changes_list_what_differs_from_the_settings_before():
    query = query_of(Setup(changes=((120, SLOWER), (300, dataclasses.replace(SLOWER, batch=64)))))
    assert query["changes"] == "120:learning_rate=0.001,batch=128;300:batch=64"


def test_a_change_at_step_0_is_how_the_run_begins():
    link = read_link({"batch": "64", "changes": "0:batch=32,colour=red;9:batch=16"})
    assert link.setup == Setup(train=TrainConfig(batch=32), changes=((9, TrainConfig(batch=16)),))
    (sentence,) = link.refused
    assert {"changes", "0", "colour", "setting"} <= named(sentence)
    assert "changes" not in query_of(read_link({"changes": "0:batch=32"}).setup)


def test_a_refused_part_of_a_change_leaves_the_rest_in_force():
    link = read_link({"changes": "10:batch=9;5:batch=8;x:batch=7;20:batch=6,colour=red;30:batch=6"})
    assert link.setup.changes == ((10, TrainConfig(batch=9)), (20, TrainConfig(batch=6)))
    for sentence, what in zip(link.refused, ({"5:batch=8"}, {"x:batch=7"}, {"20", "colour"}), strict=True):
        assert {"changes", *what} <= named(sentence)


def test_of_two_changes_at_one_step_the_second_holds():
    link = read_link({"changes": "10:batch=9;20:batch=8,learning_rate=0.001;20:batch=9;30:batch=7"})
    assert not link.refused
    kept = dataclasses.replace(TrainConfig(batch=9), learning_rate=0.001)
    assert link.setup.changes == (
        (10, TrainConfig(batch=9)),
        (20, kept),
        (30, dataclasses.replace(kept, batch=7)),
    )
    assert read_link({"changes": "20:batch=8;20:batch=1024"}).setup.changes == ()


def test_there_is_an_end_to_changes():
    link = read_link({"changes": ";".join(f"{i}:batch={i + 2}" for i in range(1, MOST_CHANGES + 50))})
    assert len(link.setup.changes) == MOST_CHANGES
    (sentence,) = link.refused
    assert {"changes", str(MOST_CHANGES)} <= named(sentence)


class TestAliases:
    @pytest.mark.parametrize(
        ("query", "blocks"),
        [({"layers": "7"}, 7), ({"layers": "7", "blocks": "5"}, 5), ({"blocks": "5", "layers": "7"}, 5)],
    )
    def test_an_old_name_is_read_as_the_new_one_which_counts_where_both_stand(self, query, blocks, monkeypatch):
        monkeypatch.setitem(link.ALIASES, "layers", "blocks")
        found = read_link(query)
        assert found.setup.flow.blocks == blocks and not found.refused


# --- controls that stay -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("controls", [None, (), ("bench.law",), ("blocks", "compare.d.log_det.law.lam")])
def test_a_link_says_which_controls_stay(controls):
    assert read_link(query_of(Setup(), controls=controls)) == Link(controls=controls)


def test_unknown_controls_are_refused_one_by_one():
    found = read_link({"controls": "blocks colour blocks bench  lipschitz.z"})
    assert found.controls == ("blocks", "lipschitz.z")
    for name, told in zip(("colour", "bench"), found.refused, strict=True):
        assert "`controls`" in told and f"`{name}`" in told


def test_every_setting_has_a_name_and_a_title_of_its_own():
    known = names()
    assert set(known) >= {key for key, _, _ in entries(Setup())}
    for prefix, kind in BENCHES.items():
        assert set(known) >= {key for key, _, _ in entries(kind(), prefix)}
    for kind in LOG_DETS.values():
        assert set(known) >= {f"compare.a.log_det.{key}" for key, _, _ in entries(kind())}
    assert known["bench.law.p"] == f"{known['bench.law']}, p"
    assert len(set(known.values())) == len(known)


# --- what they set ----------------------------------------------------------------------------------------------------


TABLE = Table("points.csv", ("x", "y"), np.random.default_rng(0).normal(size=(50, 2)))
OWN = OwnData(CsvChoice("points.csv", "0123456789ab", "x", "y"), TABLE)
START = SavedFlow(FlowFile("moons.safetensors", "ba9876543210"), b"weights")


def test_only_training_changes_keep_the_run():
    setup = Setup()
    for same in ({"train": TrainConfig(batch=10)}, {"changes": ((3, TrainConfig(batch=10)),)}):
        assert setup.same_run(dataclasses.replace(setup, **same))
    others = (
        {"seed": 1},
        {"data": "moons"},
        {"flow": FlowConfig(blocks=2)},
        {"device": "cpu"},
        {"own": OWN},
        {"start": START},
    )
    for changed in others:
        assert not setup.same_run(dataclasses.replace(setup, **changed))


def test_an_experiment_holds_everything_that_was_set():
    changes = ((3, TrainConfig(batch=10)),)
    setup = Setup("moons", 7, "cpu", FlowConfig(blocks=2), TrainConfig(batch=20), OWN, START, changes)
    experiment = setup.experiment()
    (arm,) = experiment.arms
    assert (experiment.seed, experiment.device) == (7, "cpu")
    assert (arm.flow, arm.train, arm.changes, arm.weights) == (setup.flow, setup.train, changes, b"weights")
    assert arm.data is setup.dataset is TABLE
    drawn = dataclasses.replace(setup, own=None)
    assert drawn.experiment().arms[0].data == "moons"
    assert drawn.dataset is DATASETS["moons"]


def test_a_file_is_known_by_what_a_link_says_of_it():
    again = OwnData(OWN.choice, Table("points.csv", ("x", "y"), TABLE.values))
    assert Setup(own=OWN) == Setup(own=again)
    assert hash(Setup(own=OWN)) == hash(Setup(own=again))
    assert Setup(own=OWN) != Setup(own=OwnData(CsvChoice("points.csv", "0123456789ab", "y", "x"), TABLE))


def test_differences_are_what_differs_and_all_of_a_new_variant():
    def named(before, after):
        return {key: value for key, _, value in differences(TrainConfig(before), TrainConfig(after))}

    assert named(Exact(), Exact()) == {}
    assert named(Truncated(5), Truncated(7)) == {"log_det.n_terms": 7}
    assert named(Roulette(Geometric(0.5)), Roulette(Geometric(0.3))) == {"log_det.law.p": 0.3}
    assert named(Exact(), Truncated()).keys() == {
        key for key, _, _ in entries(TrainConfig(Truncated())) if "log_det" in key
    }
