"""Bytes of tensors that are alive: every one that comes into being, whoever holds it."""

import weakref
from collections.abc import Iterable

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Ledger(TorchDispatchMode):
    """While it lasts, counts the storages of all tensors that operations return, until these are freed.

    `alive` is how many bytes exist now, `peak` the most at one time. Storages of `given` tensors are not counted, and
    each other one once, however many tensors are views of it. What an autograd.Function has on its context counts like
    what is saved for the backward pass, because nobody asks who holds a tensor. What an operation uses within itself,
    and returns to nobody, is not seen. On the processor only: elsewhere the backward pass runs in a thread of its own.

    `operations` is how many there were, and `numbers` how many numbers they returned.
    """

    def __init__(self, given: Iterable[Tensor] = ()):
        super().__init__()
        self.alive = self.peak = self.operations = self.numbers = 0
        self._given = [tensor.untyped_storage() for tensor in given]  # held, so that no address is used twice
        self._seen = {storage._cdata: None for storage in self._given}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Torch would load its compiler at the first operation, 0.7 s, and double the time of every further one."""
        return False

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        returned = operation(*args, **(kwargs or {}))
        self.operations += 1
        for leaf in (returned,) if isinstance(returned, Tensor) else tree_leaves(returned):
            if isinstance(leaf, Tensor):
                self._enter(leaf)
        return returned

    def _enter(self, tensor: Tensor) -> None:
        self.numbers += tensor.numel()
        storage = tensor.untyped_storage()
        address, size = storage._cdata, storage.nbytes()
        if address in self._seen:
            return

        def freed(_):
            self.alive -= size
            del self._seen[address]

        self._seen[address] = weakref.ref(storage, freed)
        self.alive += size
        self.peak = max(self.peak, self.alive)
