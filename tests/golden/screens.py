"""What every screen shows, as it opens and after a few presses: its numbers and words, and the address that it has."""

import functools
import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode

from streamlit.components.v2 import manifest_scanner

from tests.golden import subject_pages, wording
from tests.golden.elsewhere import elsewhere
from tests.golden.printed import TIME, UNKNOWN, agree, numbers
from tests.golden.stored import save

NAME = "screens.json"
SMALL = {"blocks": "2", "width": "8", "batch": "64", "seed": "3", "device": "cpu", "data": "noisymoons"}
ONE_SEED = {"activations.seeds": "1", "compare.seeds": "1", "joint.seeds": "1"}
WIDGETS = (
    *("selectbox", "select_slider", "slider", "number_input", "text_input", "toggle", "checkbox", "multiselect"),
    *("button_group", "radio", "file_uploader", "popover", "expander"),
)
MOST_RUNS = 20
MEASURED, WITH_SIDEBAR = "memory", "explore"
LEFT_OUT = {
    "times and speeds": "They are measured: numbers with their unit, columns and charts about time.",
    "memory": "All of it is measured. That the view opens, and its address, are stored.",
    "dimensions, exact or estimate": "It shows what is measured; here nothing is.",
}

STEPS, THROWS = ["100 steps"], ["100 throws", "10,000 throws"]
CASES: dict[str, tuple[str, dict[str, str], list[str]]] = {
    "home": ("home", {}, []),
    "learn": ("learn", {}, []),
    "glossary": ("glossary", {}, []),
    "explore": ("explore", SMALL, STEPS),
    "explore, roulette": ("explore", {**SMALL, "log_det": "roulette", "data": "rings"}, ["1 step", "100 steps"]),
    "explore, changes": ("explore", {**SMALL, "changes": "50:batch=32,log_det=truncated"}, STEPS),
    "explore, a refused link": ("explore", {**SMALL, "blocks": "400", "colour": "red"}, []),
    "explore, nothing to set": ("explore", {**SMALL, "controls": ""}, STEPS),
    "home with settings": ("home", SMALL, []),
    "stretch": ("stretch", SMALL, []),
    "stretch, a block": ("stretch", {**SMALL, "stretch.map": "residual", "stretch.point": "1 -0.5"}, []),
    "by hand": ("estimator", SMALL, THROWS),
    "by hand, a suspect": ("estimator", {**SMALL, "bench.suspect": "c", "bench.law": "poisson"}, THROWS),
    "across settings": ("estimator", {**SMALL, "bench.view": "settings"}, []),
    "across settings, flow": ("estimator", {**SMALL, "bench.view": "settings", "bench.subject": "flow"}, STEPS),
    "plane": ("estimator", {**SMALL, "bench.view": "plane"}, ["Use a trained flow", *STEPS]),
    "inverse": ("lipschitz", {**SMALL, "lipschitz.view": "inverse"}, STEPS),
    "inverse, beyond the fold": (
        "lipschitz",
        {**SMALL, "lipschitz.block": "1", "lipschitz.scale": "4", "lipschitz.method": "newton"},
        STEPS,
    ),
    "enforced": ("lipschitz", {**SMALL, "lipschitz.view": "enforced"}, STEPS),
    "budgets": ("lipschitz", {**SMALL, "lipschitz.view": "budgets"}, STEPS),
    "norms": ("lipschitz", {**SMALL, "lipschitz.view": "norms", "lipschitz.p": "1.0", "lipschitz.q": "4.0"}, STEPS),
    "curves": ("activations", {**SMALL, "activations.formula": "sin(2*z)/2 + z/4"}, []),
    "inside": ("activations", {**SMALL, "activations.view": "inside", "activation": "elu"}, STEPS),
    "consequences": ("activations", {**SMALL, **ONE_SEED, "activations.view": "consequences"}, STEPS),
    "compare": ("compare", SMALL, ["Choose your own", *STEPS]),
    "compare, samples": ("compare", {**SMALL, **ONE_SEED, "compare.view": "samples", "compare.c.kind": "nsf"}, STEPS),
    "compare, spectra": ("compare", {**SMALL, **ONE_SEED, "compare.view": "spectra"}, STEPS),
    "compare, layers": ("compare", {**SMALL, **ONE_SEED, "compare.view": "layers"}, STEPS),
    "joint": ("joint", {**SMALL, "joint.weight": "0.5"}, STEPS),
    "joint, paper": ("joint", {**SMALL, **ONE_SEED, "joint.view": "paper"}, STEPS),
    "joint, no classes": ("joint", {**SMALL, "data": "diabetes"}, []),
    "digits": ("dimensions", SMALL, ["1 step"]),
    "exact or estimate": ("dimensions", {**SMALL, "dimensions.view": "scaling"}, []),
    "memory": ("dimensions", {**SMALL, "dimensions.view": "memory"}, []),
    "a lesson": ("learn", {"lesson": "series"}, []),
    "a step of a lesson": ("estimator", {"lesson": "series", "step": "which-way", "lang": "de"}, []),
    "a lesson that is not there": ("learn", {"lesson": "nothing"}, []),
    "a step with settings": ("estimator", {**SMALL, "lesson": "series", "bench.n_terms": "8"}, []),
}


def make() -> None:
    here, others = seen_all(), elsewhere("tests.golden.screens")
    for screen in {screen: None for screen, *_ in CASES.values()}:
        said, *elsewhere_said = ({label: pages[label]["words"] for label in of(screen)} for pages in (here, *others))
        wording.save(screen, said, elsewhere_said)
    numbers = {label: {name: part for name, part in page.items() if name != "words"} for label, page in here.items()}
    save(NAME, {"left out": LEFT_OUT, "screens": _steady(numbers, others)}, open_levels=4)


def of(screen: str) -> list[str]:
    """The cases of one screen."""
    return [label for label, (of, *_) in CASES.items() if of == screen]


def seen_all() -> dict[str, Any]:
    with quick():
        return {label: seen(label) for label in CASES}


@contextmanager
def quick() -> Iterator[None]:
    """AppTest looks through all packages for components whenever it opens a page: let it do so once."""
    scan = functools.cache(manifest_scanner.scan_component_manifests)
    with patch.object(manifest_scanner, "scan_component_manifests", scan):
        yield


def seen(label: str) -> dict[str, Any]:
    """What a page shows as it opens and after each press, its address at the end, and all its words."""
    with subject_pages.steady():
        return _seen(label, *CASES[label])


def _seen(label: str, screen: str, link: dict[str, str], presses: list[str]) -> dict[str, Any]:
    page = subject_pages.opened(screen, link)
    found, said = {"opened": _shown(page, label)}, _words(page, screen)
    for button in presses:
        page = subject_pages.press(page, button)
        for _ in range(MOST_RUNS):
            before = _shown(page, label)
            if _shown(page := page.run(), label) == before:
                break
        found[button] = before
        said += _words(page, screen)
    query = subject_pages.address(page)
    return {
        "shown": found,
        "address": urlencode(sorted(query.items())),
        "widgets": {} if label == MEASURED else _widgets(page),
        "words": list(dict.fromkeys(said)),
    }


def differences(stored: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Where a page does not show what is stored of it."""
    wrong = [
        f"{name}: stored {stored[name]}, found {found[name]}"
        for name in ("address", "widgets")
        if stored[name] != found[name]
    ]
    for moment, kinds in stored["shown"].items():
        for kind in {**kinds, **found["shown"][moment]}:
            pairs = zip_longest(_tokens(kinds.get(kind, [])), _tokens(found["shown"][moment].get(kind, [])))
            for k, (before, now) in enumerate(pairs):
                if before is None or now is None or not agree(before, now):
                    wrong.append(f"{moment}, {kind}, number {k}: stored {before}, found {now}")
                    break
    return wrong


def _words(page: Any, screen: str) -> list[str]:
    """The sidebar is the same on all screens: its words are those of one."""
    return wording.words([*page.main, *(page.sidebar if screen == WITH_SIDEBAR else ())])


def _tokens(elements: list[str]) -> list[str]:
    return [token for element in elements for token in element.split()]


def _shown(page: Any, label: str) -> dict[str, list[str]]:
    """The numbers of each kind of element, a line for each element that has some."""
    assert not page.exception, page.exception
    found: dict[str, list[str]] = {}
    if label == MEASURED:
        return found
    for element in [*page.main, *page.sidebar]:
        for kind, text in _texts(element):
            if line := " ".join(numbers(text)):
                found.setdefault(kind, []).append(line)
    return found


def _texts(element: Any) -> Iterator[tuple[str, str]]:
    if element.type in wording.TEXTS:
        if "<style" not in element.value:
            yield element.type, element.value
    elif element.type == "metric":
        yield "metric", f"{element.value} {element.delta}"
    elif element.type == "vega_lite_chart":
        yield from _timeless("alt", json.loads(element.proto.spec).get("description", ""))
    elif element.type == "bidi_component":
        yield from _said(json.loads(element.proto.json or "null"))


def _said(data: Any) -> Iterator[tuple[str, str]]:
    """The words of a picture: its alternative texts, and the large numbers beside it."""
    if isinstance(data, list):
        for part in data:
            yield from _said(part)
    elif isinstance(data, dict):
        for name, part in data.items():
            if name == "alt":
                for text in part.values() if isinstance(part, dict) else (part,):
                    yield from _timeless("alt", text)
            elif name == "readouts":
                for one in part:
                    yield "readout", f"{one['value']} {one['error']} {one['note']}"
            else:
                yield from _said(part)


def _timeless(kind: str, text: str) -> Iterator[tuple[str, str]]:
    if not TIME.search(text):
        yield kind, text


def _widgets(page: Any) -> dict[str, int]:
    counts = Counter(element.type for element in [*page.main, *page.sidebar] if element.type in WIDGETS)
    return dict(sorted(counts.items()))


def _steady(here: dict[str, Any], others: list[dict[str, Any]]) -> dict[str, Any]:
    """What is seen here, without the numbers that other instruction sets change."""
    for label, page in here.items():
        for moment, kinds in page["shown"].items():
            for kind, lines in kinds.items():
                seen_there = [_tokens(other[label]["shown"][moment][kind]) for other in others]
                tokens = iter(zip(_tokens(lines), *seen_there, strict=True))
                kinds[kind] = [
                    " ".join(
                        token if all(agree(token, one) for one in next(tokens)[1:]) else UNKNOWN
                        for token in line.split()
                    )
                    for line in lines
                ]
    return here


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    json.dump(seen_all(), sys.stdout)
