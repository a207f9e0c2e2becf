"""Old links open what they opened."""

import re

import pytest

from tests.golden import links, subject
from tests.golden.stored import differences, load

SETTINGS = load(links.NAME)["settings"]
STORED = links.stored()
FILES = links.given()


# Settings that came since, by their names in links: old links open their defaults.
NEW = {
    f"{prefix}{name}": about["default"]
    for prefix, tree in subject.trees().items()
    for name, about in tree.items()
    if name not in SETTINGS.get(prefix, {})
}


@pytest.mark.thorough
@pytest.mark.parametrize("label", STORED)
def test_a_link_opens_what_it_opened(label):
    entry = STORED[label]
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


@pytest.mark.parametrize("prefix", SETTINGS)
def test_every_setting_has_its_default_its_limits_and_at_least_its_choices(prefix):
    found = subject.trees()[prefix]
    assert not differences(SETTINGS[prefix], _known(SETTINGS[prefix], found))


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


def test_the_stored_links_have_every_setting():
    """And every choice that has settings of its own, for these have names too. Of the arms of Compare one is enough."""
    had = {_of_any_arm(name) for entry in STORED.values() for name in entry["link"]}
    wanted = {_of_any_arm(name) for prefix, tree in SETTINGS.items() for name in _names(tree, prefix)}
    assert not wanted - had


def _of_any_arm(name):
    return re.sub(r"^compare\.[abcd]\b", "compare.*", name)


def _names(tree, prefix):
    for name, about in tree.items():
        yield f"{prefix}{name}"
        for inner in about.get("choices", {}).values():
            yield from _names(inner, f"{prefix}{name}.")


def test_the_stored_links_are_of_every_kind():
    opens = [entry["opens"] for entry in STORED.values()]
    assert {"refused", "changes", "csv", "start", "controls", "lesson"} <= {
        name for one in opens for name in one if one[name]
    }
    assert {"drawing", "at", "by"} <= {name for one in opens for name in one["query"]}
    assert len({str(one["about"]) for one in opens}) > 20
    for prefix in SETTINGS:
        assert not prefix or sum(prefix in one["benches"] for one in opens) >= links.FEWEST
