import functools
import json
import sys

import pytest
from altair.utils import schemapi
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.scriptrunner.script_cache import ScriptCache

from app import engine, screens  # noqa: F401  # it fills the registries
from app.engine.local import LocalEngine
from app.engine.training.measurements import masses
from tests.app.requests import PATIENCE_SECONDS


@pytest.fixture
def local_engine(monkeypatch):
    """The engine of this process in place of the worker's, for pages under AppTest.

    The mass meter has tests of its own; on a page its numbers need not be fine.
    """
    monkeypatch.setitem(masses.CELLS, "fine", masses.CELLS["rough"])
    local = LocalEngine(finish_seconds=PATIENCE_SECONDS)
    monkeypatch.setattr(engine, "get_engine", lambda: local)
    return local


@pytest.fixture(autouse=True)
def main_stays_what_it_is():
    """AppTest puts its page in the place of `__main__`, which a new process of a later test would run."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(autouse=True, scope="session")
def installed_packages_are_scanned_once():
    """AppTest looks through all of them for components whenever it opens a page."""
    scan = functools.cache(manifest_scanner.scan_component_manifests)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", scan)
        yield


@pytest.fixture(autouse=True, scope="session")
def charts_of_one_shape_are_validated_once():
    """Altair holds every part of a chart to its schema, row by row: a quarter of a page's time."""
    validate, valid = schemapi.validate_jsonschema, set()

    def once(spec, schema, rootschema=None, **options):
        shape = json.dumps([schema, _shape(spec)], default=str)
        if shape not in valid:
            validate(spec, schema, rootschema, **options)
            valid.add(shape)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schemapi, "validate_jsonschema", once)
        yield


@pytest.fixture(autouse=True, scope="session")
def scripts_are_compiled_once():
    """AppTest compiles them for every page that it opens."""
    compile, compiled = ScriptCache.get_bytecode, {}

    def once(self, path):
        if path not in compiled:
            compiled[path] = compile(self, path)
        return compiled[path]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptCache, "get_bytecode", once)
        yield


def _shape(part, name=""):
    """What the schema may mind: all but which numbers, which words, and how many rows there are."""
    if isinstance(part, dict):
        return {name: _shape(value, name) for name, value in part.items()}
    if isinstance(part, list):
        return sorted({json.dumps(_shape(value, name)) for value in part})
    return part if isinstance(part, str) and name not in ("title", "text", "description") else type(part).__name__
