"""Adam on one vector is torch's, to the bit."""

import torch

from resflow_core.training.adam import Adam
from tests.core.oracles import seeded


def test_it_takes_the_steps_of_torchs_and_goes_on_from_a_saved_state():
    vector = torch.randn(1001, generator=seeded(0))
    reference, generator = vector.clone(), seeded(1)
    reference.grad = torch.zeros_like(reference)
    optimiser = torch.optim.Adam([reference], fused=True)
    adam = Adam(vector)
    for k in range(30):
        gradient, rate = torch.randn(1001, generator=generator), 0.01 / (1 + k)
        optimiser.param_groups[0]["lr"] = rate
        reference.grad.copy_(gradient)
        optimiser.step()
        adam.step(gradient, rate)
        assert torch.equal(vector, reference)
        if k == 15:
            state = {name: tensor.clone() for name, tensor in adam.state().items()}
            adam = Adam(vector)
            adam.load_state(state)
