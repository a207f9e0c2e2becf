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
    Poisson(0.1, 0),
    Poisson(10.0, 20),
    Custom((0.5,)),
    Custom((1.0, 1.0, 0.4, 0.4, 0.38)),
]
DRAWS = 20_000


def integers(*values):
    return torch.tensor(values)


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

    def test_draws_have_the_right_shares(self, law):
        n = law.sample(DRAWS, seeded(1)).numpy()
        survival = law.survival(torch.arange(200)).numpy()
        expected = DRAWS * -np.diff(survival)
        last = np.flatnonzero(expected >= 10).max()
        expected = np.append(expected[: last + 1], DRAWS * survival[last + 1])
        observed = np.bincount(np.minimum(n, last + 1), minlength=last + 2)
        assert (observed[expected == 0] == 0).all()
        possible = expected > 0
        if possible.sum() > 1:
            assert stats.chisquare(observed[possible], expected[possible]).pvalue > 1e-4

    def test_the_survival_function_starts_at_one_and_falls_for_ever(self, law):
        survival = law.survival(torch.arange(400))
        assert survival.dtype == torch.float64
        assert survival[0] == 1
        assert bool((survival.diff() <= 0).all())
        reached = survival_table(law, 1e-300)
        assert bool((reached > 0).all())
        assert float(law.survival(integers(len(reached) + 1))) < 1e-300

    def test_in_the_end_it_falls_by_its_tail_ratio(self, law):
        table = survival_table(law, 1e-250)
        ratios = table[1:] / table[:-1]
        # A Poisson tail falls ever faster, in the end as lambda / k.
        slack = law.lam / (len(table) - law.n_exact - 1) if isinstance(law, Poisson) else 1e-12
        assert 0 <= law.tail_ratio < 1
        assert abs(float(ratios[-1]) - law.tail_ratio) <= slack

    @pytest.mark.parametrize("n_draws", [1, 3])
    def test_the_expected_terms_are_the_mean_of_the_largest_draw(self, law, n_draws):
        n = law.sample(DRAWS * n_draws, seeded(2)).view(DRAWS, n_draws).amax(1).double()
        assert abs(n.mean().item() - expected_terms(law, n_draws)) <= 5 * n.std().item() / DRAWS**0.5 + 1e-12

    def test_the_same_generator_gives_the_same_draws(self, law):
        assert torch.equal(law.sample(50, seeded(3)), law.sample(50, seeded(3)))
        assert law.sample(0, seeded(3)).shape == (0,)


@pytest.mark.parametrize("n_exact", [0, 2, 3])
def test_geometric_is_scipys_moved_to_start_at_n_exact(n_exact):
    # Trap: SciPy's and NumPy's geometric law starts at 1, torch's at 0; ours at n_exact.
    k = np.arange(1, 15)
    ours = Geometric(0.3, n_exact).survival(torch.from_numpy(k)).numpy()
    np.testing.assert_allclose(ours, stats.geom(0.3, loc=n_exact - 1).sf(k - 1), rtol=1e-12)
    assert int(Geometric(0.3, n_exact).sample(1_000, seeded(0)).min()) == n_exact


def test_the_papers_setting_computes_four_terms_on_average():
    n = Geometric(p=0.5, n_exact=3).sample(DRAWS, seeded(1)).double()
    assert abs(float(n.mean()) - 4) < 5 * 2**0.5 / DRAWS**0.5


@pytest.mark.parametrize("lam", [0.1, 1.0, 2.5, 10.0])
@pytest.mark.parametrize("n_exact", [0, 3])
def test_poisson_is_scipys_incomplete_gamma_far_into_the_tail(lam, n_exact):
    j = np.arange(1, 250)
    expected = special.gammainc(j, lam)
    j, expected = j[expected > 1e-300], expected[expected > 1e-300]
    ours = Poisson(lam, n_exact).survival(torch.from_numpy(j + n_exact)).numpy()
    np.testing.assert_allclose(ours, expected, rtol=1e-12)
    np.testing.assert_allclose(ours[:10], stats.poisson(lam).sf(j[:10] - 1), rtol=1e-12)
    assert (Poisson(lam, n_exact).survival(torch.arange(n_exact + 1)) == 1).all()


def test_a_table_is_the_law_and_goes_on_with_its_last_ratio():
    survival = Custom((1.0, 0.8, 0.2)).survival(torch.arange(8))
    np.testing.assert_allclose(survival, [1, 1, 0.8, 0.2, 0.05, 0.0125, 0.003125, 0.00078125], rtol=1e-14)
    # The ratio of a table of one is that to P(N >= 0) = 1.
    np.testing.assert_allclose(Custom((0.25,)).survival(torch.arange(4)), [1, 0.25, 0.0625, 0.015625], rtol=1e-14)
    paper = Custom((1.0, 1.0, 1.0, 0.5))
    k = torch.arange(40)
    assert torch.equal(paper.survival(k), Geometric(0.5, 3).survival(k))


@pytest.mark.parametrize(
    ("law", "field", "value"),
    [
        (Geometric, "p", 0.0),
        (Geometric, "p", 1.0),
        (Geometric, "p", float("nan")),
        (Geometric, "n_exact", -1),
        (Geometric, "n_exact", 1.5),
        (Poisson, "lam", 0.0),
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
        ((), "use numbers from 1e-06 to 1, separated by commas."),
        ((1.0, 0.0), "use numbers from 1e-06 to 1, separated by commas."),
        ((1.2, 0.5), "use numbers from 1e-06 to 1, separated by commas."),
        ((1.0, float("nan")), "use numbers from 1e-06 to 1, separated by commas."),
        ((1.0, True), "use numbers from 1e-06 to 1, separated by commas."),
        (("1", "0.5"), "use numbers from 1e-06 to 1, separated by commas."),
        (0.5, "use numbers from 1e-06 to 1, separated by commas."),
        ("1, 0.5", "use numbers from 1e-06 to 1, separated by commas."),
        ((1.0, 0.5, 0.7), "use numbers that do not increase: P(N >= 3) = 0.7 is above 0.5, the one before it."),
        (
            (1.0, 0.5, 0.5),
            "the last number must be at most 0.95 of the one before: the law goes on with their ratio.",
        ),
        (
            (1.0,),
            "the last number must be at most 0.95 of the one before: the law goes on with their ratio.",
        ),
        ((0.5,) * 51, "use at most 50 numbers."),
    ],
)
def test_tables_that_are_no_law_are_refused_with_the_remedy(table, says):
    field, limits = settings_of(Custom)["table"]
    assert refusal(table, field.type, limits) == says
    with pytest.raises(ValueError, match="table = "):
        Custom(table)


def test_whole_numbers_may_stand_in_a_table():
    assert Custom((1, 1, 0.5)) == Custom((1.0, 1.0, 0.5))
