"""Write trial-level data and load them back."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from importlib.metadata import version
from pathlib import Path

import pandas as pd

from psps_paper.article.trials import CONTRASTS, load_source, load_trials
from psps_paper.living.model import ARM_COLUMNS, ARMS_DICTIONARY, CONTRASTS_DICTIONARY, Import
from psps_paper.living.notes import _notes, printed_losses
from psps_paper.tables.csv_text import csv_bytes, unprotected
from psps_paper.tables.dataset import Dataset, dataset
from psps_paper.tables.errors import TableError
from psps_paper.tables.files import only_writer, replace_folder
from psps_paper.tables.trials import SOURCE, TRIALS


def write_trials(result: Import, folder: Path, *, add: bool = False, replace_printed: bool = False) -> Path:
    """Write an import into ``data/trials``, in one step.

    Parameters
    ----------
    result : Import
    folder : Path
        The data folder.
    add : bool
        Add to the trials of the same outcome; otherwise they are replaced. Other outcomes are kept.
    replace_printed : bool
        Write trials even if they would replace a printed network without covering all of it.

    Returns
    -------
    Path
        The folder written.

    Raises
    ------
    TableError
        Another process is writing there; ``add`` is given without trials to add to, or with a study already present;
        or printed results would be lost and ``replace_printed`` is not given.
    """
    outcome = result.source["outcome"]
    lost = "" if add or replace_printed else printed_losses(result.contrasts, outcome, dataset(folder))
    if lost:
        raise TableError(
            f"{result.source['file']}: these trials would replace the printed network on every page, and lose from it"
            f" {lost}; to replace it anyway, use --replace-printed"
        )
    with only_writer(folder):
        if add:
            beside_present(result, folder)
        contrasts, arms, sources = result.contrasts, result.arms, []
        data = dataset(folder)
        if data.trials:
            present, source = load_trials(data), load_source(data)
            kept = present if add else present[present["outcome"] != outcome]
            contrasts = pd.concat([kept, contrasts], ignore_index=True)
            sources = [entry for entry in source["sources"] if add or entry["outcome"] != outcome]
            old_arms = load_arms(data)
            arms = pd.concat(
                [table for table in (old_arms if add else old_arms[old_arms["outcome"] != outcome], arms) if len(table)]
                or [old_arms],
                ignore_index=True,
            )
        files = {
            CONTRASTS: csv_bytes(contrasts),
            "dictionaries/contrasts.csv": csv_bytes(_dictionary(CONTRASTS_DICTIONARY)),
        }
        if len(arms):
            files |= {"arms.csv": csv_bytes(arms), "dictionaries/arms.csv": csv_bytes(_dictionary(ARMS_DICTIONARY))}
        record = {
            "schema": 1,
            "versions": versions(),
            "sources": [*sources, result.source],
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        }
        files[SOURCE] = (json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")
        replace_folder(folder / TRIALS, files)
    return folder / TRIALS


def beside_present(result: Import, data: Dataset | Path | str) -> Import:
    """Check an addition together with the trials already present, without writing anything.

    Parameters
    ----------
    result : Import
    data : Dataset, Path or str
        The data folder.

    Returns
    -------
    Import
        The addition, with notes on all trials of the outcome together.

    Raises
    ------
    TableError
        There are no trials of the outcome, they include one of the studies, they have a different measure, or the two
        cannot be fitted together.
    """
    data, source = dataset(data), result.source
    file, outcome = source["file"], source["outcome"]
    present = load_trials(data) if data.trials else pd.DataFrame({"outcome": []})
    present = present[present["outcome"] == outcome]
    if present.empty:
        raise TableError(f"{file}: --add needs trials of outcome {outcome} to add to; import the review's own first")
    for entry in load_source(data)["sources"]:
        if entry["outcome"] == outcome and entry.get("measure", source["measure"]) != source["measure"]:
            raise TableError(
                f"{file}: gives {source['measure']}, but {entry['file']}, already imported, gave {entry['measure']};"
                " expected one measure per network"
            )
    shared = sorted(set(result.contrasts["study"]) & set(present["study"]))
    if shared:
        raise TableError(
            f"{file}: study {shared[0]!r} is already in contrasts.csv; import the whole table again, or rename the"
            " study"
        )
    together = pd.concat([present, result.contrasts], ignore_index=True)
    aside = set(result.listed["study"])
    own = _notes(result.contrasts, aside, file, outcome, data)
    notes = [note for note in result.warnings if note not in own] + _notes(
        together, aside, "contrasts.csv with the addition", outcome, data
    )
    arms = pd.concat([table for table in (load_arms(data), result.arms) if len(table)] or [result.arms])
    unarmed = sorted(set(together["study"]) - set(arms.loc[arms["outcome"] == outcome, "study"]))
    if len(arms) and unarmed:
        rest = f" and {len(unarmed) - 5} more" if len(unarmed) > 5 else ""
        notes.append(f"some studies have no arms; exports of arms will not include {', '.join(unarmed[:5])}{rest}")
    return dataclasses.replace(result, warnings=notes)


def load_arms(data: Dataset | Path | str) -> pd.DataFrame:
    """Load the arms behind the contrasts, if arms were imported.

    Returns
    -------
    DataFrame [outcome, study, treatment, n, mean, sd, events, rows]
    """
    trials = dataset(data).trials
    if trials is None or "arms" not in trials:
        return pd.DataFrame(columns=ARM_COLUMNS)
    arms = trials.table("arms")
    for name in ("outcome", "study", "treatment", "rows"):
        arms[name] = arms[name].map(unprotected)
    return arms


def versions() -> dict[str, str]:
    """List the versions of the software that computes the results."""
    return {name: version(name) for name in ("psps-paper", "numpy", "pandas", "scipy")}


def _dictionary(columns: list[tuple]) -> pd.DataFrame:
    rows = [
        (*row[:4], "no", "", "", "", row[4], "the imported file" if row[0] != "outcome" else "outcomes.csv")
        for row in columns
    ]
    return pd.DataFrame(
        rows,
        columns=[
            "name",
            "type",
            "unit",
            "nullable",
            "unique",
            "minimum",
            "maximum",
            "allowed",
            "meaning",
            "provenance",
        ],
    )
