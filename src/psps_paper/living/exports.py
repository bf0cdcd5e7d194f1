"""Export a review's data and results to other software, with scripts that check them there."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from psps_paper.article.trials import BookNetwork, Trials, book_network
from psps_paper.living.analyses import own_labels
from psps_paper.living.metafor_script import metafor_script
from psps_paper.living.r_text import r_matrix, r_number, r_text, r_vector
from psps_paper.living.results import contrasts_table, results_json, review_results
from psps_paper.living.store import load_arms, versions
from psps_paper.network import NetworkFit, subnetworks
from psps_paper.network.model import prepare
from psps_paper.network.reduction import closed_estimates, joiner, negative_arms
from psps_paper.tables.csv_text import csv_bytes
from psps_paper.tables.dataset import Dataset, dataset
from psps_paper.tables.errors import TableError
from psps_paper.tables.files import only_writer, replace_folder

MANIFEST = "manifest.json"
SCHEMA = "psps-paper export 2"
# netmeta 2.8-2 and this package agree more closely; the script allows for rounding of its printed input
TOLERANCE = 1e-6


def export_files(data: Dataset | Path | str, *, outcome: str | None = None) -> dict[str, bytes]:
    """Create the files of an export, the manifest last.

    Parameters
    ----------
    data : Dataset, Path or str
        The data folder.
    outcome : str, optional
        Row of ``outcomes.csv``; by default all outcomes with trials or printed results.

    Returns
    -------
    dict of str to bytes
        Always ``results.json``, ``results_contrasts.csv``, ``results_ranking.csv`` and ``manifest.json``, which
        describes every other file or states why it is absent. With trial-level data also ``contrasts.csv``,
        ``netmeta.csv``, ``netmeta.R``, ``metafor.R`` and ``cinema.csv``; with arms also ``arms.csv`` and, if every
        study has arms, ``metainsight.csv``. The files of each outcome after the first are in a folder of their own.
    """
    data = dataset(data)
    results = review_results(data, outcome=outcome)
    files = {"results.json": results_json(results)}
    meaning = {"results.json": "all results with versions and checksums; psps-paper diff reads it"}
    outcomes, absent, left_out = [], {}, []
    for number, entry in enumerate(results["outcomes"], start=1):
        name = entry["outcome"]["name"]
        place = "" if number == 1 else f"{number}_{re.sub('[^0-9A-Za-z]+', '_', name)[:40]}/"
        book = book_network(data, outcome=name)
        made, missing = _outcome_files(data, entry, book)
        files |= {place + file: content for file, (content, _) in made.items()}
        meaning |= {place + file: text for file, (_, text) in made.items()}
        absent |= {place + file: reason for file, reason in missing.items()}
        outcomes.append({**entry["outcome"], "state": entry["state"], "folder": place or "."})
        rows = book.excluded[["study", "treat1", "treat2", "reason"]].to_dict("records")
        left_out += [{"outcome": name, **row} for row in rows]
    manifest = {
        "schema": SCHEMA,
        "versions": versions(),
        "outcomes": outcomes,
        "files": {
            file: {"meaning": meaning[file], "sha256": hashlib.sha256(content).hexdigest()}
            for file, content in files.items()
        },
        "not written": absent,
        "left out of the fit": left_out,
    }
    manifest["sha256"] = _digest(manifest)
    files[MANIFEST] = (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode("utf-8")
    return files


def _outcome_files(
    data: Dataset, results: dict, book: BookNetwork
) -> tuple[dict[str, tuple[bytes, str]], dict[str, str]]:
    """Create the files of one outcome, each with a description, and the reasons why others are absent."""
    files = {
        "results_contrasts.csv": (
            csv_bytes(contrasts_table(results)),
            "each pair of treatments, te first minus second",
        ),
        "results_ranking.csv": (csv_bytes(pd.DataFrame(results["ranks"])), "P-scores"),
    }
    if not isinstance(book.state, Trials):
        reason = "there are printed numbers only, no trial-level data"
        return files, dict.fromkeys(
            ["contrasts.csv", "netmeta.csv", "netmeta.R", "metafor.R", "cinema.csv", "metainsight.csv"], reason
        )
    outcome = results["outcome"]
    files |= _files_of_fit(book.fit, outcome)
    arms, missing = _files_of_arms(data, outcome["name"], set(book.fit.contrasts["study"]))
    return files | arms, missing


def _files_of_fit(fit: NetworkFit, outcome: Mapping[str, str]) -> dict[str, tuple[bytes, str]]:
    """Create files with the estimates of a fit for other programs, and scripts that compare the results."""
    contrasts = fit.contrasts[["study", "treat1", "treat2", "te", "se"]]
    script = netmeta_script(fit, measure=outcome["measure"], desirable=outcome["te_desirable"])
    without = "".join(f"; leaves out {what}" for what in left_out_of_netmeta(fit))
    return {
        "contrasts.csv": (
            csv_bytes(contrasts),
            "the estimates in the fit; psps-paper import --kind contrasts reads it",
        ),
        "netmeta.csv": (
            csv_bytes(contrasts.set_axis(["studlab", "treat1", "treat2", "TE", "seTE"], axis=1)),
            "the same with netmeta's column names",
        ),
        "netmeta.R": (
            script.encode("utf-8"),
            f"fits them with netmeta and stops if the numbers differ from this package's{without}",
        ),
        "metafor.R": (
            metafor_script(fit).encode("utf-8"),
            "fits them in base R, and with metafor under REML and ML, and stops if the numbers differ",
        ),
        "cinema.csv": (
            csv_bytes(cinema_table(contrasts)),
            (
                "the same for CINeMA (inverse variance); fill in rob and indirectness "
                "(1, 2 or 3) of each study, in a copy outside this folder"
            ),
        ),
    }


def _files_of_arms(
    data: Dataset, outcome: str, studies: set[str]
) -> tuple[dict[str, tuple[bytes, str]], dict[str, str]]:
    """Create files with the arms of a fit's studies, if imported as arms, and the reasons why files are absent."""
    arms = load_arms(data)
    arms = arms[arms["outcome"] == outcome].drop(columns="outcome")
    if arms.empty:
        return {}, {"metainsight.csv": "MetaInsight needs arms of trials, but the data were imported as contrasts"}
    without = ", ".join(sorted(studies - set(arms["study"])))
    some = f"; without those of {without}, imported as contrasts" if without else ""
    files = {
        "arms.csv": (
            csv_bytes(arms.drop(columns="rows")),
            f"the arms behind the estimates; psps-paper import --kind arms reads it{some}",
        )
    }
    if without:
        reason = f"MetaInsight needs arms of trials, but these were imported as contrasts: {without}"
        return files, {"metainsight.csv": reason}
    files["metainsight.csv"] = (csv_bytes(metainsight_table(arms)), "the same in MetaInsight's long format")
    return files, {}


def export(folder: Path, target: Path, *, outcome: str | None = None) -> list[str]:
    """Write an export into a folder of its own, in one step.

    Parameters
    ----------
    folder : Path
        The data folder.
    target : Path
        A folder that does not exist, is empty, or holds only an earlier export, which is replaced.
    outcome : str, optional
        As in :func:`export_files`.

    Returns
    -------
    list of str
        Names of the files written.

    Raises
    ------
    TableError
        The target holds anything else, including an exported file that was edited afterwards.
    """
    if target.exists() and not target.is_dir():
        raise TableError(f"{target}: is a file; expected a folder to write to")
    files = export_files(folder, outcome=outcome)
    place = target.resolve()
    place.parent.mkdir(parents=True, exist_ok=True)
    with only_writer(place.parent):
        _check_replaceable(target)
        replace_folder(place, files)
    return list(files)


def _check_replaceable(target: Path) -> None:
    """Raise an error unless a folder holds an unedited export and nothing else."""
    present = {
        path.relative_to(target).as_posix(): path
        for path in target.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
    if not present:
        return
    try:
        manifest = json.loads(present[MANIFEST].read_bytes())
        written = (
            {name: entry["sha256"] for name, entry in manifest["files"].items()}
            if manifest["schema"] == SCHEMA
            else None
        )
    except (KeyError, ValueError, TypeError, AttributeError, OSError):
        written = None
    if written is None:
        raise TableError(f"{target}: holds files that are not an export; name a new folder")
    if manifest.pop("sha256", None) == _digest(manifest):
        del present[MANIFEST]
    kept = [
        name
        for name, path in sorted(present.items())
        if path.is_symlink() or not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != written.get(name)
    ]
    if kept:
        raise TableError(
            f"{target}: not replaced, because it holds files that no export wrote or that were edited since:"
            f" {', '.join(kept)}; move them elsewhere, or name a new folder"
        )


def _digest(manifest: dict) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode("utf-8")).hexdigest()


def cinema_table(contrasts: pd.DataFrame) -> pd.DataFrame:
    """Tabulate contrasts for CINeMA (inverse variance): DataFrame [id, study, t1, t2, effect, se, rob, indirectness].

    ``id`` numbers the studies; ``rob`` and ``indirectness`` are left empty for the review's own judgements.
    """
    ids = pd.factorize(contrasts["study"])[0] + 1
    table = contrasts.set_axis(["study", "t1", "t2", "effect", "se"], axis=1)
    table.insert(0, "id", ids)
    return table.assign(rob=None, indirectness=None)


def metainsight_table(arms: pd.DataFrame) -> pd.DataFrame:
    """Tabulate arms in MetaInsight's long format: DataFrame [Study, T, N, Mean, SD], or [Study, T, R, N] for events."""
    if arms["events"].notna().all():
        return arms[["study", "treatment", "events", "n"]].set_axis(["Study", "T", "R", "N"], axis=1)
    return arms[["study", "treatment", "n", "mean", "sd"]].set_axis(["Study", "T", "N", "Mean", "SD"], axis=1)


def left_out_of_netmeta(fit: NetworkFit) -> list[str]:
    """List what the netmeta script of a fit leaves out, one sentence each; empty if it compares everything.

    Parameters
    ----------
    fit : NetworkFit
        A network fitted to studies.
    """
    design, te, se, _, _ = prepare(fit.contrasts, repeats=fit.correlation is not None)
    said = []
    if fit.method in ("REML", "ML") and fit.df_q > 0:
        said.append(
            f"the search for tau2 by {fit.method}: netmeta is given this package's tau2, since it takes the contrasts"
            " of a multi-arm study as independent there and stops at the first maximum"
        )
    negative = list(negative_arms(design, te, se))
    if negative:
        said.append(
            f"the studies {', '.join(map(r_text, negative))}, where an arm would have a negative variance; "
            "so no number is compared"
        )
    if fit.correlation and design.repeated:
        said.append(
            f"the correlation {fit.correlation:g} of several estimates of one study, which netmeta takes as"
            " independent; so no number is compared"
        )
    return said


def netmeta_script(fit: NetworkFit, *, measure: str, desirable: str) -> str:
    """Write an R script that refits a network with netmeta and compares the estimates with this package's.

    The script's header lists what it leaves out (:func:`left_out_of_netmeta`). Loops of multi-arm studies are closed
    as in the fit; undefined numbers are not compared.

    Parameters
    ----------
    fit : NetworkFit
        A network fitted to studies. If a study gives several estimates of one comparison, each has its own label, as in
        the fit.
    measure : str
        netmeta's ``sm``; the estimates are on its additive scale.
    desirable : {"lower", "higher"}
        Desirable direction of te; netmeta's ``small.values``.

    Returns
    -------
    str
    """
    left_out = left_out_of_netmeta(fit)
    design, te, se, used, _ = prepare(fit.contrasts, repeats=fit.correlation is not None)
    rows = used.assign(te=closed_estimates(design, te, se), se=se).astype({"study": str, "treat1": str, "treat2": str})
    rows = rows[~rows["study"].isin(list(negative_arms(design, te, se)))]
    lines = [
        (
            f"# {len(rows)} estimates of {rows['study'].nunique()} studies, fitted with netmeta and compared with"
            f" psps-paper {versions()['psps-paper']}."
        ),
        "# Written by psps-paper export. Needs R with the package netmeta (2.8 or later).",
        *[f"# Left out: {what}." for what in left_out],
    ]
    if rows.empty or len(subnetworks(rows)) > 1:
        return "\n".join([*lines, "# The rest is not a connected network, so there is nothing to fit."]) + "\n"
    lines += _netmeta_call(fit, rows, measure, desirable)
    if any("no number is compared" in what for what in left_out):
        return "\n".join(lines) + "\n"
    return "\n".join(lines + _comparison(fit)) + "\n"


def _netmeta_call(fit: NetworkFit, rows: pd.DataFrame, measure: str, desirable: str) -> list[str]:
    """Write the lines that fit these rows."""
    estimated = fit.method == "DL" or (fit.method in ("REML", "ML") and fit.df_q == 0)
    tau = "method.tau = " + r_text(fit.method) if estimated else f"tau.preset = {r_number(fit.tau)}"
    treatments = sorted(set(rows["treat1"]) | set(rows["treat2"]))
    separator = next(
        sign for sign in (":", "~", ";", "=", joiner(treatments)) if not any(sign in name for name in treatments)
    )
    columns = {"treat1": r_text, "treat2": r_text, "te": r_number, "se": r_number}
    names = {"te": "TE", "se": "seTE"}
    data = [f"{names.get(name, name)} = {r_vector(map(write, rows[name]))}" for name, write in columns.items()]
    return [
        "library(netmeta)",
        "",
        "contrasts <- data.frame(",
        ",\n".join(f"  {line}" for line in [f"studlab = {r_vector(map(r_text, own_labels(rows)))}", *data]),
        ")",
        "",
        f"fit <- netmeta(TE, seTE, treat1, treat2, studlab, data = contrasts, sm = {r_text(measure)}, {tau},",
        (
            f"               common = TRUE, random = TRUE, level.ma = {r_number(fit.level)}, sep.trts ="
            f" {r_text(separator)},"
        ),
        f"               seq = {r_vector(map(r_text, treatments))})",
        "print(fit)",
        f"print(netrank(fit, small.values = {r_text('bad' if desirable == 'higher' else 'good')}))",
    ]


def _comparison(fit: NetworkFit) -> list[str]:
    """Write the lines that stop if netmeta's numbers differ, for the numbers that are defined."""
    # Without degrees of freedom netmeta does not estimate tau2, and fits as if it were 0.
    tau2 = fit.tau2 if fit.df_q > 0 or fit.method == "fixed" else math.nan
    numbers = [("tau2", "tau^2", tau2), ("Q", "Q", fit.q), ("I2", "I2", fit.i2)]
    known = [number for number in numbers if not math.isnan(number[2])]
    return [
        "",
        "# What psps-paper computed, row minus column",
        f"treatments <- {r_vector(map(r_text, fit.treatments))}",
        *[f"expected_{name} <- {r_matrix(frame)}" for name, frame in (("TE", fit.te), ("seTE", fit.se))],
        *[f"expected_{name} <- {r_number(value)}" for name, _, value in known],
        "agree <- function(found, expected) {",
        f"  stopifnot(isTRUE(all.equal(unname(found), unname(expected), tolerance = {r_number(TOLERANCE)})))",
        "}",
        "agree(fit$TE.random[treatments, treatments], expected_TE)",
        "agree(fit$seTE.random[treatments, treatments], expected_seTE)",
        *[f"agree(fit${field}, expected_{name})" for name, field, _ in known],
        'cat("netmeta", as.character(packageVersion("netmeta")), "agrees with psps-paper\\n")',
    ]
