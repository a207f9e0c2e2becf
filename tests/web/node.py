"""Node, which comes with the other tools of tests and which no page needs."""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
APP = HERE.parents[1] / "app" / "web"
NODE = Path(sys.executable).with_name("node")


def node(*arguments: str, seconds: float = 300, data: bytes | None = None) -> bytes:
    """What a program for Node writes, given `data` to read. Raises AssertionError, with all that it says, if it
    fails."""
    done = subprocess.run([NODE, *arguments], input=data, capture_output=True, cwd=HERE, timeout=seconds)
    assert done.returncode == 0, f"{done.stdout.decode()[-4_000:]}{done.stderr.decode()[-4_000:]}"
    return done.stdout
