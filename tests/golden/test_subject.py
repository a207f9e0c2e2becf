"""The stored files outlive the modules of today, which only `subject*.py` know."""

import ast
import re
from pathlib import Path

from tests.golden.stored import FOLDER

CODE = ("app", "resflow_core", "tests")
DOORS = {"subject.py", "subject_flows.py", "subject_pages.py"}


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
    return found


def test_only_the_subject_imports_the_code():
    for path in FOLDER.glob("*.py"):
        ours = {name for name in imported(path) if name.partition(".")[0] in CODE}
        assert path.name in DOORS or all(name.startswith(("tests.golden", "tests.covering")) for name in ours), (
            path.name
        )


def test_no_stored_file_names_a_module_or_holds_a_pickle():
    for path in FOLDER.rglob("*"):
        if path.suffix in (".json", ".npz", ".safetensors", ".csv"):
            data = path.read_bytes()
            assert not re.search(rb"resflow_core|app\.[a-z]+\.|\bapp/|__reduce__", data), path.name
            assert data[:1] != b"\x80", path.name
