import numpy as np
import pytest
import torch
from scipy import stats

from resflow_core.roulette import LAWS, Geometric
from tests.core.oracles import seeded


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_draws_follow_the_survival_function(law):
    law = law()
    n = law.sample(20_000, seeded(0)).numpy()
    k = np.arange(1, 12)
    survival = law.survival(torch.from_numpy(k)).numpy()
    assert survival[0] == 1
    assert (np.diff(survival) <= 0).all()
    error = np.abs((n[:, None] >= k).mean(0) - survival)
    assert (error <= 5 * np.sqrt(survival * (1 - survival) / len(n))).all()


@pytest.mark.parametrize("n_exact", [0, 2, 3])
def test_geometric_is_scipys_moved_to_start_at_n_exact(n_exact):
    # Trap: SciPy's and NumPy's geometric law starts at 1, torch's at 0; ours at n_exact.
    k = np.arange(1, 15)
    ours = Geometric(0.3, n_exact).survival(torch.from_numpy(k)).numpy()
    np.testing.assert_allclose(ours, stats.geom(0.3, loc=n_exact - 1).sf(k - 1), rtol=1e-12)
    assert int(Geometric(0.3, n_exact).sample(1_000, seeded(0)).min()) == n_exact


def test_the_papers_setting_computes_four_terms_on_average():
    n = Geometric(p=0.5, n_exact=3).sample(20_000, seeded(1)).double()
    assert abs(float(n.mean()) - 4) < 5 * 2**0.5 / 20_000**0.5


@pytest.mark.parametrize(
    ("field", "value"), [("p", 0.0), ("p", 1.0), ("p", float("nan")), ("n_exact", -1), ("n_exact", 1.5)]
)
def test_bad_laws_are_refused_by_name_value_and_remedy(field, value):
    with pytest.raises(ValueError, match=rf"{field} = .*use a (value|whole number) from"):
        Geometric(**{field: value})
