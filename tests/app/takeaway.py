"""Programs as a reader runs them: in an environment of their own, with nothing of the app."""

import ast
import io
import os
import re
import subprocess
import warnings
from collections.abc import Mapping
from contextlib import chdir, redirect_stdout
from pathlib import Path

from tests.environment import python


def imported(program: str) -> set[str]:
    """The packages that a program imports."""
    found = set()
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module.split(".")[0])
    return found


def installed_by(program: str) -> list[str]:
    """The packages that its head says to install beside the library."""
    (found,) = re.findall(r"^It needs .*:\n\n(?:    pip install (.*)\n)?    pip install \.$", program, re.MULTILINE)
    return found.split()


def printed(program: str, folder: Path, files: Mapping[str, bytes] | None = None) -> str:
    """What a program prints that runs in this process, in this folder, which has these files. It imports nothing of the
    app."""
    assert imported(program) <= {"resflow_core", "numpy", "torch"}
    for name, data in (files or {}).items():
        (folder / name).write_bytes(data)
    with chdir(folder), redirect_stdout(io.StringIO()) as out, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a reader's process goes on, too
        exec(compile(program, "program.py", "exec"), {"__name__": "__main__"})
    return out.getvalue()


def run(program: str, folder: Path, files: Mapping[str, bytes] | None = None) -> str:
    """What a program prints that runs in this folder, which has these files, where nothing is installed but what its
    head names."""
    for name, data in (files or {}).items():
        (folder / name).write_bytes(data)
    (folder / "program.py").write_text(program, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python(*installed_by(program)), "program.py"],
        cwd=folder,
        env=environment | {"PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
