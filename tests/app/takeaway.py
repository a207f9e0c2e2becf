"""Programs as a reader runs them: in a process and a folder of their own, with nothing of the app."""

import ast
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]


def imported(program: str) -> set[str]:
    """The packages that a program imports."""
    found = set()
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.split(".")[0])
    return found


def core_alone(folder: Path) -> Path:
    """A folder with nothing but the library to import."""
    there = folder / "library"
    there.mkdir()
    (there / "resflow_core").symlink_to(ROOT / "resflow_core")
    return there


def run(program: str, folder: Path, files: Mapping[str, bytes] | None = None) -> str:
    """What a program prints that runs in this folder, which has these files."""
    for name, data in (files or {}).items():
        (folder / name).write_bytes(data)
    (folder / "program.py").write_text(program, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(core_alone(folder)), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
