"""The same computed in other ways to round, as other processors do: what moves then is no golden value."""

import json
import os
import subprocess
import sys
from typing import Any

OTHERS = ({"ATEN_CPU_CAPABILITY": "default"}, {"MKL_ENABLE_INSTRUCTIONS": "SSE4_2"})
"""What PyTorch and its linear algebra take to be the processor's instruction set."""


def elsewhere(module: str) -> list[Any]:
    """What a module prints as JSON, with each other instruction set. Raises CalledProcessError."""
    command = [sys.executable, "-m", module]
    runs = (subprocess.run(command, env=os.environ | other, stdout=subprocess.PIPE, check=True) for other in OTHERS)
    return [json.loads(run.stdout) for run in runs]
