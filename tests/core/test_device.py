import pytest
import torch

from resflow_core.data import DATASETS
from resflow_core.flow import FlowConfig
from resflow_core.training import device
from resflow_core.training.trainer import TrainConfig

ASKED = (FlowConfig(blocks=1, width=4), TrainConfig(batch=8), DATASETS["moons"])


@pytest.fixture
def gpu(monkeypatch):
    """Pretend that there is a GPU, and say how long a step takes on each device."""

    def take(seconds):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(device, "step_seconds", lambda name, *_: seconds[name])

    return take


@pytest.mark.parametrize(("seconds", "fastest"), [((0.018, 0.03), "cpu"), ((0.018, 0.01), "cuda")])
def test_auto_takes_the_faster_and_says_both_times(gpu, seconds, fastest):
    gpu(dict(zip(("cpu", "cuda"), seconds, strict=True)))
    choice = device.choose("auto", *ASKED)
    assert choice.device == fastest
    assert "18.0 ms on CPU" in choice.reason
    assert f"{1e3 * seconds[1]:.1f} ms on CUDA" in choice.reason


def test_without_a_gpu_auto_is_the_processor_and_cuda_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    choice = device.choose("auto", *ASKED)
    assert (choice.device, choice.reason) == ("cpu", "there is no GPU that torch can use")
    with pytest.raises(ValueError, match="device = 'cuda': there is no GPU that torch can use; choose auto or cpu"):
        device.choose("cuda", *ASKED)
    with pytest.raises(ValueError, match="device = 'tpu': use one of auto, cpu, cuda"):
        device.choose("tpu", *ASKED)


def test_the_time_of_a_step_is_the_median_without_the_first_ones(monkeypatch):
    durations = iter([100.0] * device.WARM_STEPS + [1.0, 9.0, 2.0, 3.0, 9.0, 3.0, 3.0])
    clock = [0.0]
    take_step = device.Trainer.step

    def step(trainer):
        clock[0] += next(durations)
        return take_step(trainer)

    monkeypatch.setattr(device.Trainer, "step", step)
    monkeypatch.setattr(device.time, "perf_counter", lambda: clock[0])
    assert device.step_seconds("cpu", *ASKED) == 3.0
