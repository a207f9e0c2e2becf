"""A count of the bytes of all tensors that are alive."""

import weakref
from collections.abc import Iterable

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Ledger(TorchDispatchMode):
    """A context that counts the storages of all tensors that operations return, until these storages are freed.

    `alive` is the number of bytes that exist at present, `peak` the largest number at one time. A storage counts once,
    even if several tensors are views of it. Storages of the tensors `given` do not count. Tensors on the context of an
    autograd.Function count like those saved for the backward pass, because the owner of a tensor does not matter.
    Memory that an operation uses internally and does not return is not seen. It works on the processor only: on other
    devices the backward pass runs in its own thread.

    `operations` is the number of operations, and `numbers` the number of numbers that they returned.
    """

    def __init__(self, given: Iterable[Tensor] = ()):
        super().__init__()
        self.alive = self.peak = self.operations = self.numbers = 0
        self._given = [tensor.untyped_storage() for tensor in given]  # held, so that no address is used again
        self._seen = {storage._cdata: None for storage in self._given}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """False, because torch would otherwise load its compiler at the first operation (0.7 s) and double the time
        of all others.
        """
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
