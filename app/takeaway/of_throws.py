"""The program of real coins that a class has thrown up to the first tails."""

from collections.abc import Mapping

from app.takeaway.source import Source, mapped, program
from resflow_core.roulette import Geometric

ABOUT = """
Estimate with real coins how many throws it takes up to the first tails, and compare with what a fair coin expects.

    E N = sum over k = 1, 2, ... of P(N >= k) = 2,    P(N >= k) = 2^(1 - k)

So many terms are computed by Russian roulette with one exact term and p = 0.5 (Theorem 1 of Chen, Behrmann, Duvenaud &
Jacobsen, 2019).
"""
COIN = Geometric(0.5, 1)


def of_throws(counts: Mapping[int, int]) -> str:
    """`counts` says how often each number of throws came. Raises ValueError for fewer than two rows of throws, which
    have no standard error."""
    if sum(counts.values()) < 2:
        raise ValueError(f"{sum(counts.values())} rows of throws: throw two at least, so that there is an error.")
    source = Source()
    source.use_module("numpy as np")
    counted = [
        "# Throws up to the first tails, and how often each number came in the whole class.",
        f"counts = {mapped({str(n): str(times) for n, times in sorted(counts.items())})}",
        "throws = np.repeat(list(counts), list(counts.values()))",
        "error = throws.std(ddof=1) / len(throws) ** 0.5",
        'print(f"Mean of {len(throws)} rows of throws: {throws.mean():.4f} ± {error:.4f}")',
    ]
    expected = [
        "# The law of a fair coin.",
        f"law = {source.value(COIN)}",
        "k = torch.arange(1, max(counts) + 1)",
        'print(f"Expected of a fair coin: {float(law.survival(torch.arange(1, 200)).sum()):.4f}")',
        "for n, chance in zip(k.tolist(), law.survival(k).tolist()):",
        "    seen = 100 * (throws >= n).mean()",
        '    print(f"{n} throws or more: {seen:.1f} % of the rows, {100 * chance:.1f} % expected")',
    ]
    return program(ABOUT, source, "\n".join(counted), "\n".join(expected))
