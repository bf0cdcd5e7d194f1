"""The registry of printed statements, their checks and verdicts."""

from psps_paper.claims import arithmetic, counts, facts, network  # noqa: F401 (each registers its checks)
from psps_paper.claims.model import load_claims
from psps_paper.claims.registry import check_claims, statements

__all__ = ["check_claims", "load_claims", "statements"]
