import numpy as np
import pytest
import torch
from scipy import special, stats

from resflow_core.roulette import LAWS, Custom, Geometric, Poisson, expected_terms, survival_table
from resflow_core.settings import refusal, settings_of
from tests.core.oracles import seeded

# Every law as it comes, and where its settings are extreme.
EXAMPLES = [
    *(law() for law in LAWS.values()),
    Geometric(0.05, 0),
    Geometric(0.95, 20),
    Poisson(10.0, 20),
    Custom((0.5,)),
    Custom((1.0, 1.0, 0.4, 0.4, 0.38)),
]
DRAWS = 20_000


@pytest.mark.parametrize("law", EXAMPLES, ids=str)
class TestEveryLaw:
    def test_draws_follow_the_survival_function(self, law):
        # A law moved by one term is more than 20 standard errors off wherever P(N >= k) falls by a hundredth.
        n = law.sample(DRAWS, seeded(0)).numpy()
        assert n.dtype == np.int64
        k = np.arange(1, 200)
        k = k[DRAWS * law.survival(torch.from_numpy(k)).numpy() > 10]  # beyond, counts are far from normal
        survival = law.survival(torch.from_numpy(k)).numpy()
        error = np.abs((n[:, None] >= k).mean(0) - survival)
        assert (error <= 5 * np.sqrt(survival * (1 - survival) / DRAWS)).all()
        assert torch.equal(law.sample(50, seeded(3)), law.sample(50, seeded(3)))
        assert law.sample(0, seeded(3)).shape == (0,)

    def test_the_survival_function_falls_for_ever_in_the_end_by_its_tail_ratio(self, law):
        survival = law.survival(torch.arange(400))
        assert survival.dtype == torch.float64
        assert survival[0] == 1 and bool((survival.diff() <= 0).all())
        reached = survival_table(law, 1e-250)
        assert bool((reached > 0).all())
        assert float(law.survival(torch.tensor([len(reached) + 1]))) < 1e-250
        # A Poisson tail falls ever faster, in the end as lambda / k.
        slack = law.lam / (len(reached) - law.n_exact - 1) if isinstance(law, Poisson) else 1e-12
        assert 0 <= law.tail_ratio < 1
        assert abs(float(reached[-1] / reached[-2]) - law.tail_ratio) <= slack

    def test_the_expected_terms_are_the_mean_of_the_largest_draw(self, law):
        survival = law.survival(torch.arange(1_000)).numpy()
        for n_draws in (1, 3):
            chance = np.diff((1 - survival[1:]) ** n_draws, prepend=0)  # of the largest
            assert expected_terms(law, n_draws) == pytest.approx(np.dot(np.arange(999), chance), abs=1e-8)


@pytest.mark.parametrize("n_exact", [0, 3])
def test_geometric_is_scipys_moved_to_start_at_n_exact(n_exact):
    # Trap: SciPy's and NumPy's geometric law starts at 1, torch's at 0; ours at n_exact.
    k = np.arange(1, 15)
    ours = Geometric(0.3, n_exact).survival(torch.from_numpy(k)).numpy()
    np.testing.assert_allclose(ours, stats.geom(0.3, loc=n_exact - 1).sf(k - 1), rtol=1e-12)
    assert int(Geometric(0.3, n_exact).sample(1_000, seeded(0)).min()) == n_exact


def test_the_papers_setting_computes_four_terms_on_average():
    assert expected_terms(Geometric(0.5, 3)) == pytest.approx(4)
    assert expected_terms(Poisson(2.5, 1)) == pytest.approx(3.5)


@pytest.mark.parametrize(("lam", "n_exact"), [(0.1, 3), (2.5, 0), (10.0, 3)])
def test_poisson_is_scipys_incomplete_gamma_far_into_the_tail(lam, n_exact):
    j = np.arange(1, 250)
    expected = special.gammainc(j, lam)
    j, expected = j[expected > 1e-300], expected[expected > 1e-300]
    ours = Poisson(lam, n_exact).survival(torch.from_numpy(j + n_exact)).numpy()
    np.testing.assert_allclose(ours, expected, rtol=1e-12)
    assert (Poisson(lam, n_exact).survival(torch.arange(n_exact + 1)) == 1).all()


def test_a_table_is_the_law_and_goes_on_with_its_last_ratio():
    survival = Custom((1.0, 0.8, 0.2)).survival(torch.arange(8))
    np.testing.assert_allclose(survival, [1, 1, 0.8, 0.2, 0.05, 0.0125, 0.003125, 0.00078125], rtol=1e-14)
    # The ratio of a table of one is that to P(N >= 0) = 1.
    np.testing.assert_allclose(Custom((0.25,)).survival(torch.arange(4)), [1, 0.25, 0.0625, 0.015625], rtol=1e-14)
    k = torch.arange(40)
    assert torch.equal(Custom((1.0, 1.0, 1.0, 0.5)).survival(k), Geometric(0.5, 3).survival(k))
    assert Custom((1, 1, 0.5)) == Custom((1.0, 1.0, 0.5))


@pytest.mark.parametrize(
    ("law", "field", "value"),
    [
        (Geometric, "p", 0.0),
        (Geometric, "p", 1.0),
        (Geometric, "p", float("nan")),
        (Geometric, "n_exact", 1.5),
        (Poisson, "lam", float("inf")),
        (Poisson, "n_exact", 21),
    ],
)
def test_bad_laws_are_refused_by_name_value_and_remedy(law, field, value):
    with pytest.raises(ValueError, match=rf"{field} = .*use a (value|whole number) from"):
        law(**{field: value})


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ((), "use numbers from 1e-06 to 1"),
        ((1.0, 0.0), "use numbers from 1e-06 to 1"),
        ((1.2, 0.5), "use numbers from 1e-06 to 1"),
        ((1.0, float("nan")), "use numbers from 1e-06 to 1"),
        ((1.0, True), "use numbers from 1e-06 to 1"),
        ("1, 0.5", "use numbers from 1e-06 to 1"),
        ((1.0, 0.5, 0.7), "do not increase: P(N >= 3) = 0.7 is above 0.5"),
        ((1.0, 0.5, 0.5), "at most 0.95 of the one before"),
        ((1.0,), "at most 0.95 of the one before"),
        ((0.5,) * 51, "at most 50 numbers"),
    ],
)
def test_tables_that_are_no_law_are_refused_with_the_remedy(table, says):
    field, limits = settings_of(Custom)["table"]
    assert says in refusal(table, field.type, limits)
    with pytest.raises(ValueError, match="table = "):
        Custom(table)
