"""Old links open what they opened."""

import pytest

from tests.golden import links, subject
from tests.golden.stored import differences, load

STORED = load(links.NAME)
FILES = links.given()


# Settings that came since, by their names in links: old links open their defaults.
NEW = {
    f"{prefix}{name}": about["default"]
    for prefix, tree in subject.trees().items()
    for name, about in tree.items()
    if name not in STORED["settings"].get(prefix, {})
}


@pytest.mark.parametrize("label", STORED["links"])
def test_a_link_opens_what_it_opened(label):
    entry = STORED["links"][label]
    found = subject.opened(entry["link"], FILES)
    benches = {prefix: _old(bench, prefix) for prefix, bench in found["benches"].items()}
    old = {
        "query": _old(found["query"]),
        "flow": _old(found["flow"]),
        "train": _old(found["train"]),
        "benches": benches,
    }
    assert not differences(entry["opens"], found | old)


def _old(settings, prefix=""):
    """Without new settings that have their defaults."""
    return {
        name: value
        for name, value in settings.items()
        if prefix + name not in NEW or str(value) != str(NEW[prefix + name])
    }


@pytest.mark.parametrize("prefix", STORED["settings"])
def test_every_setting_has_its_default_its_limits_and_at_least_its_choices(prefix):
    found = subject.trees()[prefix]
    assert not differences(STORED["settings"][prefix], _known(STORED["settings"][prefix], found))


def _known(stored, found):
    """What is found, without settings and choices that came since."""
    if "default" not in found:
        return {name: _known(stored[name], about) for name, about in found.items() if name in stored}
    if "choices" not in found:
        return found
    choices = {
        name: _known(stored["choices"][name], inner)
        for name, inner in found["choices"].items()
        if name in stored["choices"]
    }
    return found | {"choices": choices}


def test_the_stored_links_choose_every_choice_of_every_setting():
    chosen = {(name, text) for entry in STORED["links"].values() for name, text in entry["link"].items()}
    for prefix, tree in STORED["settings"].items():
        missing = {pair for pair in _choices(tree, prefix)} - chosen
        assert not missing


def _choices(tree, prefix):
    for name, about in tree.items():
        for choice, inner in about.get("choices", {}).items():
            yield f"{prefix}{name}", choice
            yield from _choices(inner, f"{prefix}{name}.")


def test_the_stored_links_are_of_every_kind():
    opens = [entry["opens"] for entry in STORED["links"].values()]
    assert len(opens) >= 60
    assert {"refused", "changes", "csv", "start", "controls", "lesson"} <= {
        name for one in opens for name in one if one[name]
    }
    assert len({str(one["about"]) for one in opens}) > 20
    for prefix in STORED["settings"]:
        assert not prefix or sum(prefix in one["benches"] for one in opens) >= links.FEWEST
