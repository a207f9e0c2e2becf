"""What lessons may ask of the verdicts on the paper's claims."""

from app.features.paper.claims import CLAIMS
from app.features.paper.found import Kind
from app.lessons.observables import Observable


def _claims_that(kind: str) -> int:
    """How many claims came to a verdict, by its name in `Kind`."""
    return sum(claim.found.kind is Kind[kind] for claim in CLAIMS.values())


VERDICTS: dict[str, Observable] = {
    "claims": Observable("the claims of the paper's abstract", lambda at: len(CLAIMS)),
    "claims_that": Observable("the claims with a verdict", lambda at, kind: _claims_that(kind), arguments=1),
}
