import pytest

from app import controls
from app.setup import Setup
from resflow_core.log_det import LOG_DETS
from resflow_core.roulette import LAWS
from resflow_core.settings import settings_of

CONFIGS = [Setup().flow, Setup().train, *(cls() for cls in [*LOG_DETS.values(), *LAWS.values()])]
NUMBERS = [
    pytest.param(field.type, limits, getattr(config, name), id=f"{type(config).__name__}.{name}")
    for config in CONFIGS
    for name, (field, limits) in settings_of(config).items()
    if field.type in (int, float)
]


@pytest.mark.parametrize(("kind", "limits", "default"), NUMBERS)
def test_a_slider_offers_few_ascending_values_that_span_the_limits(kind, limits, default):
    values = controls.rungs(limits, kind)
    assert values == sorted(set(values))
    assert (values[0], values[-1]) == (limits.low, limits.high)
    assert all(type(v) is kind for v in values)
    assert len(values) >= 5 or len(values) == limits.high - limits.low + 1
    assert len(values) <= 51
