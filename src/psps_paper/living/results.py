"""Everything that a state of the review concludes, as one structure that can be written, read and compared."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
from scipy.special import ndtr

from psps_paper.claims import check_claims
from psps_paper.living.importing import versions
from psps_paper.network.ranking import p_scores
from psps_paper.tables import TableError, checksums, load_table
from psps_paper.trials import BookNetwork, Trials, book_network, te_desirable

SCHEMA = "psps-paper results 1"
HETEROGENEITY = ("tau2", "q", "df_q", "p_q", "i2", "i2_lower", "i2_upper")
CONTRAST_NUMBERS = ("te", "se", "lower", "upper", "predict_lower", "predict_upper", "p")


def review_results(folder: Path, *, outcome: str | None = None) -> dict:
    """Results of a data folder, from whatever state it is in.

    Parameters
    ----------
    folder : Path
        The data folder.
    outcome : str, optional
        Row of ``outcomes.csv``; by default the first.

    Returns
    -------
    dict
        ``schema``, ``versions``, ``state``, ``data`` (checksums), ``outcome``, ``network`` (tier, counts, heterogeneity),
        ``contrasts`` (each pair of treatments once, te first minus second), ``ranks``, ``claims``. Numbers are unrounded;
        unknown ones are None.
    """
    book = book_network(folder, outcome=outcome)
    outcomes = load_table("outcomes", folder)
    row = outcomes.iloc[0] if outcome is None else outcomes.set_index("outcome", drop=False).loc[outcome]
    fit, desirable = book.fit, te_desirable(folder, row["outcome"])
    scores = p_scores(fit, desirable=desirable).sort_values(ascending=False, kind="stable")
    claims = []
    if (folder / "claims.csv").is_file():
        checked = check_claims(folder)
        claims = [
            {"id": claim.id, "printed": claim.shown, "computed": claim.computed, "verdict": claim.verdict, "tier": claim.tier}
            for claim in checked.itertuples()
        ]
    state = book.state
    digests = {name: str(digest) for name, digest in checksums(folder).items() if not name.startswith("dictionaries/")}
    if isinstance(state, Trials):
        digests |= {f"trials/{name}": digest for name, digest in state.source["files"].items()}
    return {
        "schema": SCHEMA,
        "versions": versions(),
        "state": state.label,
        "data": digests,
        "outcome": {"name": str(row["outcome"]), "measure": str(row["measure"]), "te_desirable": desirable},
        "network": _network(book),
        "contrasts": _contrasts(book),
        "ranks": [{"treatment": name, "rank": rank, "p_score": float(score)} for rank, (name, score) in enumerate(scores.items(), start=1)],
        "claims": claims,
    }


def conclusion(te: float, lower: float, upper: float, *, desirable: str) -> int:
    """What an interval says: 1 the first-named treatment is better, -1 the second, 0 neither is shown."""
    if lower <= 0 <= upper:
        return 0
    return 1 if (te > 0) == (desirable == "higher") else -1


def results_json(results: dict) -> bytes:
    """Results as JSON in UTF-8; :func:`read_results` gives the same structure back."""
    return (json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")


def read_results(path: Path) -> dict:
    """Results from a data folder or from a JSON file that ``psps-paper export`` wrote.

    Raises
    ------
    TableError
        The file is neither.
    """
    if path.is_dir():
        return review_results(path)
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        if results["schema"] != SCHEMA:
            raise ValueError(f"schema is {results['schema']!r}, expected {SCHEMA!r}")
        missing = {"state", "data", "outcome", "network", "contrasts", "ranks", "claims"} - set(results)
        if missing:
            raise ValueError(f"no {', '.join(sorted(missing))}")
        return results
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TableError(f"{path.name}: {error}; expected a data folder or results.json of psps-paper export") from None


def contrasts_table(results: dict) -> pd.DataFrame:
    """The contrasts of results: DataFrame [treat1, treat2, te, se, lower, upper, predict_lower, predict_upper, p]."""
    return pd.DataFrame(results["contrasts"], columns=["treat1", "treat2", *CONTRAST_NUMBERS])


def _known(value: float) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def _network(book: BookNetwork) -> dict:
    fit = book.fit
    known = isinstance(book.state, Trials)
    printed = {} if known else {row.quantity: row.value for row in book.published.printed.itertuples() if row.quantity.startswith("i2")}
    values = {name: _known(getattr(fit, name)) if known else _known(printed.get(name, math.nan)) for name in HETEROGENEITY}
    return {
        "tier": book.tier,
        "method": fit.method,
        "level": fit.level,
        "treatments": list(fit.treatments),
        "studies": int(fit.n_studies) if known else None,
        "estimates": int(book.edges["estimates"].sum()),
        "excluded": len(book.excluded),
        **values,
    }


def _contrasts(book: BookNetwork) -> list[dict]:
    fit, rows = book.fit, []
    for k, treat1 in enumerate(fit.treatments):
        for treat2 in fit.treatments[k + 1:]:
            numbers = {name: _known(getattr(fit, name).at[treat1, treat2]) for name in CONTRAST_NUMBERS if name != "p"}
            numbers["p"] = float(2 * ndtr(-abs(numbers["te"] / numbers["se"])))
            rows.append({"treat1": treat1, "treat2": treat2, **numbers})
    return rows
