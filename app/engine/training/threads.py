"""What a thread that computes sets for itself: none of it is inherited from the thread that starts it."""

import os
import sys
import threading

import torch

NICE = 10


def prepare() -> None:
    """Let torch compute in this thread alone, and without denormals, which are slow: fresh branches start near zero and
    fill products with them."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    torch.set_grad_enabled(True)


def lower_priority() -> bool:
    """Let other threads go first, from now on: a thread cannot raise its priority again. Whether this system has
    priorities of threads: Linux has, where a thread's id stands for a process's."""
    if sys.platform != "linux":
        return False
    thread = threading.get_native_id()
    os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICE)
    return True
