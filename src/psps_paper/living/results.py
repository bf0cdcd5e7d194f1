"""All results of a review in one structure that can be written, read and compared."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import scipy

from psps_paper.article.trials import BookNetwork, Trials, book_network, network_state
from psps_paper.claims.registry import check_claims
from psps_paper.effects.checks import LARGEST
from psps_paper.living.store import versions
from psps_paper.network.ranking import p_scores
from psps_paper.tables.dataset import Dataset, dataset
from psps_paper.tables.errors import TableError

SCHEMA = "psps-paper results 2"
HETEROGENEITY = ("tau2", "q", "df_q", "p_q", "i2", "i2_lower", "i2_upper")
CONTRAST_NUMBERS = ("te", "se", "lower", "upper", "predict_lower", "predict_upper", "p")

# Expected form of a file of results: a type, a list of a type, or names with their types
_TEXT, _NUMBER, _PERHAPS = "text", "a number", "a number or null"
_RESULTS = {
    "data": {"": _TEXT},
    "outcomes": [
        {
            "outcome": {"name": _TEXT, "measure": _TEXT, "te_desirable": _TEXT},
            "state": _TEXT,
            "network": {
                **{"tier": _TEXT, "method": _TEXT, "treatments": [_TEXT]},
                **dict.fromkeys(("studies", "estimates", "excluded", *HETEROGENEITY), _PERHAPS),
            },
            "contrasts": [
                {
                    **{"treat1": _TEXT, "treat2": _TEXT},
                    **dict.fromkeys(("te", "se", "lower", "upper"), _NUMBER),
                    **dict.fromkeys(("predict_lower", "predict_upper", "p"), _PERHAPS),
                }
            ],
            "ranks": [{"treatment": _TEXT, "rank": _NUMBER, "p_score": _NUMBER}],
        }
    ],
    "claims": [{"id": _TEXT, "verdict": _TEXT, "printed": "", "computed": ""}],
}


def _check(value: object, shape: object, place: str) -> None:
    """Refuse a value of the wrong form, naming its place; "" stands for any name or any scalar."""
    where = place.removeprefix(", ") or "the file"
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            raise ValueError(f"{where} is not an object")
        names = value if "" in shape else shape
        for name in names:
            if name not in value:
                raise ValueError(f"no {name} in {where}")
            _check(value[name], shape.get("", shape.get(name)), f"{place}, {name[:80]}")
    elif isinstance(shape, list):
        if not isinstance(value, list) or (place.endswith("ranks") and not value):
            raise ValueError(f"{where} is an empty list" if value == [] else f"{where} is not a list")
        for k, entry in enumerate(value, 1):
            _check(entry, shape[0], f"{place}, entry {k}")
    elif shape == _TEXT:
        if not isinstance(value, str):
            raise ValueError(f"{where} is not text")
    elif shape == "":
        if isinstance(value, list | dict):
            raise ValueError(f"{where} is neither text nor a number")
    elif not (shape == _PERHAPS and value is None):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number and abs(value) <= LARGEST):
            raise ValueError(f"{where} is not {shape}")


def review_results(data: Dataset | Path | str, *, outcome: str | None = None) -> dict:
    """Compute the results of a data folder, whether it holds trials or printed results.

    Parameters
    ----------
    data : Dataset, Path or str
        The data folder.
    outcome : str, optional
        Row of ``outcomes.csv``; by default all outcomes with trials or printed results.

    Returns
    -------
    dict
        ``schema``, ``versions``, ``data`` (checksums), ``outcomes``, ``claims``. Each entry of ``outcomes``, in the
        order of ``outcomes.csv``, holds ``outcome`` (name, measure, desirable direction), ``state``, ``network`` (tier,
        counts, heterogeneity), ``contrasts`` (each pair of treatments once, in the declared order, te first minus
        second) and ``ranks``. Numbers are unrounded; unknown ones are None.

    Raises
    ------
    TableError
        There are neither trials nor printed results.
    """
    data, claims = dataset(data), []
    if "claims" in data:
        checked = check_claims(data)
        claims = [
            {
                "id": claim.id,
                "printed": claim.shown,
                "computed": claim.computed,
                "verdict": claim.verdict,
                "tier": claim.tier,
            }
            for claim in checked.itertuples()
        ]
    state = network_state(data)
    digests = {
        name: str(digest) for name, digest in data.checksums.items() if not str(name).startswith("dictionaries/")
    }
    if isinstance(state, Trials):
        digests |= {f"trials/{name}": digest for name, digest in state.source["files"].items()}
    return {
        "schema": SCHEMA,
        "versions": versions(),
        "data": digests,
        "outcomes": [_outcome(data, name) for name in ([outcome] if outcome else outcomes_with_results(data))],
        "claims": claims,
    }


def outcomes_with_results(data: Dataset) -> list[str]:
    """List the outcomes with trials or printed results, in the order of ``outcomes.csv``; always at least the first."""
    names = [str(name) for name in data.table("outcomes")["outcome"]]
    state = network_state(data)
    trials = set(state.contrasts["outcome"]) if isinstance(state, Trials) else set()
    printed = {names[0]} if "nma_published" in data else set()
    return [name for name in names if name in trials | printed] or names[:1]


def conclusion(te: float, lower: float, upper: float, *, desirable: str) -> int:
    """Read off an interval: 1 if the first-named treatment is better, -1 if the second is, 0 if neither is shown."""
    if lower <= 0 <= upper:
        return 0
    return 1 if (te > 0) == (desirable == "higher") else -1


def results_json(results: dict) -> bytes:
    """Encode results as JSON in UTF-8; :func:`read_results` restores the same structure."""
    return (json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")


def read_results(path: Path) -> dict:
    """Read results from a data folder or from a JSON file written by ``psps-paper export``.

    Raises
    ------
    TableError
        The path is neither.
    """
    if path.is_dir():
        return review_results(path)
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        _check(results, {"schema": _TEXT}, "")
        if results["schema"] != SCHEMA:
            raise ValueError(f"schema is {results['schema'][:40]!r}, expected {SCHEMA!r}")
        _check(results, _RESULTS, "")
        return results
    except RecursionError:
        raise TableError(f"{path.name}: nested too deeply; expected results.json of psps-paper export") from None
    except (OSError, ValueError) as error:
        raise TableError(f"{path.name}: {error}; expected a data folder or results.json of psps-paper export") from None


def contrasts_table(results: dict) -> pd.DataFrame:
    """Tabulate the contrasts of an outcome's results.

    Returns
    -------
    DataFrame [treat1, treat2, te, se, lower, upper, predict_lower, predict_upper, p]
    """
    return pd.DataFrame(results["contrasts"], columns=["treat1", "treat2", *CONTRAST_NUMBERS])


def _known(value: float) -> float | None:
    return None if value is None or math.isnan(value) else float(value)


def _outcome(data: Dataset, name: str) -> dict:
    book = book_network(data, outcome=name)
    outcome = book.outcome
    scores = p_scores(book.fit, desirable=outcome.te_desirable).sort_values(ascending=False, kind="stable")
    return {
        "outcome": {"name": name, "measure": outcome.measure, "te_desirable": outcome.te_desirable},
        "state": book.state.label,
        "network": _network(book),
        "contrasts": _contrast_records(book),
        "ranks": [
            {"treatment": treatment, "rank": rank, "p_score": float(score)}
            for rank, (treatment, score) in enumerate(scores.items(), start=1)
        ],
    }


def _network(book: BookNetwork) -> dict:
    fit = book.fit
    known = isinstance(book.state, Trials)
    printed = (
        {}
        if known
        else {row.quantity: row.value for row in book.published.printed.itertuples() if row.quantity.startswith("i2")}
    )
    values = {
        name: _known(getattr(fit, name)) if known else _known(printed.get(name, math.nan)) for name in HETEROGENEITY
    }
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


def _contrast_records(book: BookNetwork) -> list[dict]:
    fit, rows = book.fit, []
    order = book.outcome.ordered(fit.treatments)
    for k, treat1 in enumerate(order):
        for treat2 in order[k + 1 :]:
            numbers = {name: _known(getattr(fit, name).at[treat1, treat2]) for name in CONTRAST_NUMBERS if name != "p"}
            numbers["p"] = float(2 * scipy.special.ndtr(-abs(numbers["te"] / numbers["se"])))
            rows.append({"treat1": treat1, "treat2": treat2, **numbers})
    return rows
