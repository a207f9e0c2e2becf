"""The listing of README, ready to run: with a file of the reader's, contexts, and a module of the reader's own."""

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"

SET_UP = """
import numpy as np
import torch

import resflow_core as rf

rng = np.random.default_rng(0)
np.save("mine.npy", rng.normal(30, 5, (60, 2)).astype("{dtype}"))
C, c = rng.normal(size=(60, 5)), torch.zeros(5)
my_net = torch.nn.Sequential(rf.LipschitzLinear(2, 8, 0.9, seed=0), torch.nn.Tanh(), rf.LipschitzLinear(8, 2, seed=1))
"""


def program(dtype: str = "float64") -> str:
    """With times that suit a test: the only change."""
    code = re.search(r"```python\n(.*?)```", README.read_text(), re.S)[1]
    code, seconds = re.subn(r"seconds=30", "steps=3", code)
    code, context = re.subn(r"context=C\)", "context=C, steps=3)", code)
    assert (seconds, context) == (1, 1)
    return SET_UP.format(dtype=dtype) + code
