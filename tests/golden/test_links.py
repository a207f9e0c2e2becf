"""Old links open what they opened, and train what they trained."""

import re

import pytest

from tests.golden import links
from tests.golden.stored import differences, load

SETTINGS = load(links.NAME)["settings"]
STORED = links.stored()


def names(tree):
    for name, about in tree.items():
        yield name
        for inner in about.get("choices", {}).values():
            yield from names(inner)


KNOWN = {name for tree in SETTINGS.values() for name in names(tree)}
"""Settings that came since are not among them: of an old link they have their defaults."""


@pytest.mark.parametrize("label", STORED)
def test_a_link_opens_what_it_opened(label):
    link, opens = STORED[label]
    found = links.flat(links.opened(link))
    old = {at: value for at, value in found.items() if at in opens or re.split(r"[/.]", at)[-1] in KNOWN}
    assert not differences(opens, old)


@pytest.mark.parametrize("prefix", SETTINGS)
def test_every_setting_has_its_default_its_limits_and_at_least_its_choices(prefix):
    assert not differences(SETTINGS[prefix], _known(SETTINGS[prefix], links.trees()[prefix]))


def _known(stored, found):
    """What is found, without settings and choices that came since."""
    if not isinstance(stored, dict):
        return found
    return {name: _known(stored[name], part) for name, part in found.items() if name in stored}
