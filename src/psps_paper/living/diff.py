"""Changes caused by an update: numbers, ranks, verdicts, and above all conclusions that flip."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from psps_paper import formatting
from psps_paper.living.results import HETEROGENEITY, conclusion, read_results

COLUMNS = ["outcome", "what", "item", "old", "new", "change", "flips"]
WORDS = {1: "{first} is better than {second}", -1: "{second} is better than {first}", 0: "no difference shown"}
NAMES = {
    "tau2": "tau2",
    "q": "Q",
    "df_q": "degrees of freedom of Q",
    "p_q": "p of Q",
    "i2": "I2",
    "i2_lower": "lower limit of I2",
    "i2_upper": "upper limit of I2",
}
NO_CHANGE = 1e-9  # relative; smaller differences can arise from the order of additions on different computers


def compare(old: dict, new: dict) -> pd.DataFrame:
    """List every difference between two sets of results.

    Parameters
    ----------
    old, new : dict
        As from :func:`psps_paper.living.results.review_results`.

    Returns
    -------
    DataFrame [outcome, what, item, old, new, change, flips]
        ``outcome`` is its name, empty for data and verdicts. ``what`` is "data", "outcome", "network", "estimate",
        "interval", "rank", "P-score", "heterogeneity", "verdict" or "conclusion"; ``old`` and ``new`` are numbers or
        text, None if absent; ``change`` is new minus old for numbers; ``flips`` is true where a conclusion or a
        verdict changed, or an outcome and its conclusions were dropped. Empty where nothing changed. Rows that flip
        come first.

    Raises
    ------
    ValueError
        They have no outcome with the same name, measure and desirable direction in common.
    """
    before, after = map(_by_definition, (old, new))
    if not comparable(old, new):
        raise ValueError(
            f"the old results are of {'; '.join(before)}, the new ones of {'; '.join(after)}: nothing to compare"
        )
    rows = _data(old, new)
    for definition in [*before, *(definition for definition in after if definition not in before)]:
        sides = before.get(definition), after.get(definition)
        if all(sides):
            found = [row for part in (_state, _network, _contrast_changes, _ranks) for row in part(*sides)]
            rows += [{**row, "outcome": sides[0]["outcome"]["name"]} for row in found]
        else:
            rows.append(_row("outcome", definition, sides[0] and "in", sides[1] and "in", flips=sides[1] is None))
    rows += _verdicts(old, new)
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"old": object, "new": object})
    table["flips"] = table["flips"].astype(bool)
    return table.sort_values("flips", ascending=False, kind="stable", ignore_index=True)


def comparable(old: dict, new: dict) -> bool:
    """Test whether two sets of results share an outcome with the same name, measure and desirable direction."""
    return bool(_by_definition(old).keys() & _by_definition(new).keys())


def _by_definition(results: dict) -> dict[str, dict]:
    """Index outcomes by name, measure and direction, which must be equal for two to be compared."""
    return {
        "{name} ({measure}, {te_desirable} te is desirable)".format(**entry["outcome"]): entry
        for entry in results["outcomes"]
    }


def compare_paths(old: Path, new: Path) -> pd.DataFrame:
    """Compare two data folders or two ``results.json``, or one of each, with :func:`compare`."""
    return compare(read_results(old), read_results(new))


def diff_text(changes: pd.DataFrame) -> str:
    """Format the differences as text, flips first."""
    if changes.empty:
        return "nothing changed"
    flips = changes["flips"]
    lines = [f"Differences: {len(changes)}; of these flip a conclusion or a verdict: {flips.sum()}"]
    for heading, rows in (("flips", changes[flips]), ("moves", changes[~flips])):
        lines += [
            f"{heading}: {f'{row.outcome}: ' if row.outcome else ''}{row.what}: {row.item}: {shown(row.old)} ->"
            f" {shown(row.new)}"
            for row in rows.itertuples()
        ]
    return "\n".join(lines)


def diff_json(changes: pd.DataFrame) -> str:
    """Format the differences as a JSON list of objects, numbers unrounded."""
    rows = [
        {key: None if value is None or value != value else value for key, value in row.items()}
        for row in changes.to_dict("records")
    ]
    return json.dumps(rows, indent=1, allow_nan=False)


def diff_table(changes: pd.DataFrame) -> pd.DataFrame:
    """Tabulate the differences for the page "What changed".

    Returns
    -------
    DataFrame [outcome, what, item, before, after, flips]
    """
    return pd.DataFrame(
        {
            "outcome": changes["outcome"],
            "what": changes["what"],
            "item": changes["item"],
            "before": [shown(value) for value in changes["old"]],
            "after": [shown(value) for value in changes["new"]],
            "flips": ["yes" if flips else "" for flips in changes["flips"]],
        }
    )


def shown(value: object) -> str:
    """Format one side of a difference: three decimals, or three significant digits of a small number."""
    if value is None or value != value:
        return "none"
    if isinstance(value, str):
        return value
    if float(value).is_integer() and abs(value) < 1e6:
        return formatting.number(value, 0)
    small = 0 < abs(value) < 0.01
    return f"{value:.2e}" if small else formatting.number(value, 3)


def _row(what: str, item: str, old, new, *, flips: bool = False) -> dict:
    numbers = isinstance(old, (int, float)) and isinstance(new, (int, float))
    return {
        "outcome": "",
        "what": what,
        "item": item,
        "old": old,
        "new": new,
        "change": new - old if numbers else None,
        "flips": flips,
    }


def _differ(old, new) -> bool:
    if isinstance(old, float) and isinstance(new, float):
        return abs(old - new) > NO_CHANGE * max(abs(old), abs(new), 1e-3)
    return old != new


def _data(old: dict, new: dict) -> list[dict]:
    rows = []
    for name in sorted(set(old["data"]) | set(new["data"])):
        before, after = (results["data"].get(name) for results in (old, new))
        if before != after:
            rows.append(_row("data", name, before and before[:12], after and after[:12]))
    return rows


def _state(old: dict, new: dict) -> list[dict]:
    return [_row("data", "state", old["state"], new["state"])] if old["state"] != new["state"] else []


def _network(old: dict, new: dict) -> list[dict]:
    before, after = old["network"], new["network"]
    rows = [
        _row("network", name, before[name], after[name])
        for name in ("tier", "method", "studies", "estimates", "excluded")
        if _differ(before[name], after[name])
    ]
    rows += [
        _row(
            "network",
            f"treatment {name}",
            "in" if name in before["treatments"] else None,
            "in" if name in after["treatments"] else None,
        )
        for name in sorted(set(before["treatments"]) ^ set(after["treatments"]))
    ]
    rows += [
        _row("heterogeneity", NAMES[name], before[name], after[name])
        for name in HETEROGENEITY
        if _differ(before[name], after[name])
    ]
    return rows


def _contrast_changes(old: dict, new: dict) -> list[dict]:
    by_pair = [{(row["treat1"], row["treat2"]): row for row in results["contrasts"]} for results in (old, new)]
    # The declared order of treatments may have changed between the two
    by_pair[0] = {
        pair if pair[::-1] not in by_pair[1] else pair[::-1]: row if pair[::-1] not in by_pair[1] else _turned(row)
        for pair, row in by_pair[0].items()
    }
    desirable = new["outcome"]["te_desirable"]
    rows = []
    for pair in sorted(set(by_pair[0]) | set(by_pair[1])):
        before, after = (rows_of.get(pair) for rows_of in by_pair)
        item = f"{pair[0]} vs {pair[1]}"
        if before is None or after is None:
            rows.append(_row("estimate", item, before and before["te"], after and after["te"]))
            continue
        for what, names in (
            ("estimate", ("te", "se")),
            ("interval", ("lower", "upper", "predict_lower", "predict_upper")),
        ):
            rows += [
                _row(what, f"{item}, {name.replace('_', ' ')}", before[name], after[name])
                for name in names
                if _differ(before[name], after[name])
            ]
        verdicts = [conclusion(row["te"], row["lower"], row["upper"], desirable=desirable) for row in (before, after)]
        if verdicts[0] != verdicts[1]:
            words = [WORDS[verdict].format(first=pair[0], second=pair[1]) for verdict in verdicts]
            rows.append(_row("conclusion", item, *words, flips=True))
    return rows


def _turned(row: dict) -> dict:
    """Reverse the direction of a contrast."""
    signs = {
        name: None if row[name] is None else -row[name]
        for name in ("te", "lower", "upper", "predict_lower", "predict_upper")
    }
    return {
        **row,
        "treat1": row["treat2"],
        "treat2": row["treat1"],
        "te": signs["te"],
        "lower": signs["upper"],
        "upper": signs["lower"],
        "predict_lower": signs["predict_upper"],
        "predict_upper": signs["predict_lower"],
    }


def _ranks(old: dict, new: dict) -> list[dict]:
    before, after = ({row["treatment"]: row for row in results["ranks"]} for results in (old, new))
    rows = []
    for name in sorted(set(before) | set(after)):
        for what, key in (("rank", "rank"), ("P-score", "p_score")):
            values = [side[name][key] if name in side else None for side in (before, after)]
            if _differ(*values):
                rows.append(_row(what, name, *values))
    best = [results["ranks"][0]["treatment"] for results in (old, new)]
    if best[0] != best[1]:
        rows.append(_row("conclusion", "first by P-score", *best, flips=True))
    return rows


def _verdicts(old: dict, new: dict) -> list[dict]:
    before, after = ({row["id"]: row for row in results["claims"]} for results in (old, new))
    rows = []
    for key in [*before, *(key for key in after if key not in before)]:
        sides = [side.get(key) for side in (before, after)]
        texts = [row and f"{row['verdict']} (printed {row['printed']}, found {row['computed']})" for row in sides]
        if texts[0] != texts[1]:
            verdicts = [row and row["verdict"] for row in sides]
            rows.append(_row("verdict", key, *texts, flips=verdicts[0] != verdicts[1]))
    return rows
