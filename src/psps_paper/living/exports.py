"""A review's data and results for other software, and for whoever wants to check them there."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pandas as pd

from psps_paper.living.importing import load_arms, versions
from psps_paper.living.results import contrasts_table, results_json, review_results
from psps_paper.living.writing import csv_bytes, only_writer, replace_folder
from psps_paper.network.model import NetworkFit
from psps_paper.tables import TableError
from psps_paper.trials import Trials, book_network, te_desirable

MANIFEST = "manifest.json"
SCHEMA = "psps-paper export 1"
# netmeta 2.8-2 and this package agree to more; the script allows for rounding of R's printed input
TOLERANCE = 1e-6


def export_files(folder: Path, *, outcome: str | None = None) -> dict[str, bytes]:
    """Files of an export, the manifest last.

    Parameters
    ----------
    folder : Path
        The data folder.
    outcome : str, optional
        Row of ``outcomes.csv``; by default the first.

    Returns
    -------
    dict of str to bytes
        Always ``results.json``, ``results_contrasts.csv``, ``results_ranking.csv`` and ``manifest.json``, which says
        of each other file what it is or why it is not there. With trial-level data also ``contrasts.csv``,
        ``netmeta.csv``, ``netmeta.R`` and ``cinema.csv``; with arms also ``arms.csv`` and ``metainsight.csv``.
    """
    book = book_network(folder, outcome=outcome)
    results = review_results(folder, outcome=outcome)
    name = results["outcome"]["name"]
    files = {
        "results.json": results_json(results),
        "results_contrasts.csv": csv_bytes(contrasts_table(results)),
        "results_ranking.csv": csv_bytes(pd.DataFrame(results["ranks"])),
    }
    meaning = {
        "results.json": "all results with versions and checksums; psps-paper diff reads it",
        "results_contrasts.csv": "each pair of treatments, te first minus second",
        "results_ranking.csv": "P-scores",
    }
    absent = {}
    if isinstance(book.state, Trials):
        contrasts = book.fit.contrasts[["study", "treat1", "treat2", "te", "se"]]
        measure = results["outcome"]["measure"]
        files |= {
            "contrasts.csv": csv_bytes(contrasts),
            "netmeta.csv": csv_bytes(contrasts.set_axis(["studlab", "treat1", "treat2", "TE", "seTE"], axis=1)),
            "netmeta.R": netmeta_script(book.fit, measure=measure, desirable=te_desirable(folder, name)).encode("utf-8"),
            "cinema.csv": csv_bytes(cinema_table(contrasts)),
        }
        meaning |= {
            "contrasts.csv": "the estimates in the fit; psps-paper import --kind contrasts reads it",
            "netmeta.csv": "the same with netmeta's column names",
            "netmeta.R": "fits them with netmeta and stops where the numbers differ from this package's",
            "cinema.csv": "the same for CINeMA (inverse variance); fill in rob and indirectness (1, 2 or 3) of each study",
        }
        arms = load_arms(folder)
        arms = arms[arms["outcome"] == name].drop(columns="outcome")
        if len(arms):
            files |= {"arms.csv": csv_bytes(arms.drop(columns="rows")), "metainsight.csv": csv_bytes(metainsight_table(arms))}
            meaning |= {
                "arms.csv": "the arms behind the estimates; psps-paper import --kind arms reads it",
                "metainsight.csv": "the same in MetaInsight's long format",
            }
        else:
            absent["metainsight.csv"] = "MetaInsight takes arms of trials, and the data were imported as contrasts"
    else:
        reason = "there are no trial-level data, only printed numbers"
        absent |= dict.fromkeys(["contrasts.csv", "netmeta.csv", "netmeta.R", "cinema.csv", "metainsight.csv"], reason)
    manifest = {
        "schema": SCHEMA,
        "versions": versions(),
        "state": book.state.label,
        "outcome": results["outcome"],
        "files": {file: {"meaning": meaning[file], "sha256": hashlib.sha256(content).hexdigest()} for file, content in files.items()},
        "not written": absent,
        "left out of the fit": book.excluded[["study", "treat1", "treat2", "reason"]].to_dict("records"),
    }
    files[MANIFEST] = (json.dumps(manifest, indent=1, ensure_ascii=False) + "\n").encode("utf-8")
    return files


def export(folder: Path, target: Path, *, outcome: str | None = None) -> list[str]:
    """Write an export into a folder of its own, in one step.

    Parameters
    ----------
    folder : Path
        The data folder.
    target : Path
        A folder that does not exist, is empty, or holds an earlier export, which is replaced.

    Returns
    -------
    list of str
        Names of the files written.

    Raises
    ------
    TableError
        The target holds something else.
    """
    if target.exists() and not target.is_dir():
        raise TableError(f"{target}: is a file; expected a folder to write to")
    if target.is_dir() and any(target.iterdir()) and not (target / MANIFEST).is_file():
        raise TableError(f"{target}: holds files that are no export; name a new folder")
    files = export_files(folder, outcome=outcome)
    target.absolute().parent.mkdir(parents=True, exist_ok=True)
    with only_writer(target.absolute().parent):
        replace_folder(target.absolute(), files)
    return list(files)


def cinema_table(contrasts: pd.DataFrame) -> pd.DataFrame:
    """Contrasts for CINeMA, inverse variance: DataFrame [id, study, t1, t2, effect, se, rob, indirectness].

    ``id`` numbers the studies; ``rob`` and ``indirectness`` are empty, for the review's own judgements.
    """
    ids = pd.factorize(contrasts["study"])[0] + 1
    table = contrasts.set_axis(["study", "t1", "t2", "effect", "se"], axis=1)
    table.insert(0, "id", ids)
    return table.assign(rob=None, indirectness=None)


def metainsight_table(arms: pd.DataFrame) -> pd.DataFrame:
    """Arms in MetaInsight's long format: DataFrame [Study, T, N, Mean, SD], or [Study, T, R, N] of events."""
    if arms["events"].notna().all():
        return arms[["study", "treatment", "events", "n"]].set_axis(["Study", "T", "R", "N"], axis=1)
    return arms[["study", "treatment", "n", "mean", "sd"]].set_axis(["Study", "T", "N", "Mean", "SD"], axis=1)


def netmeta_script(fit: NetworkFit, *, measure: str, desirable: str) -> str:
    """An R script that refits a network with netmeta and compares all estimates with this package's.

    Parameters
    ----------
    fit : NetworkFit
        Of trials. Where a study gives several estimates of one comparison, each gets a label of its own, as in the fit.
    measure : str
        netmeta's ``sm``; the estimates are on its additive scale.
    desirable : {"lower", "higher"}
        Desirable direction of te; netmeta's ``small.values``.

    Returns
    -------
    str
    """
    contrasts = fit.contrasts
    pair = [" ".join(sorted(names)) for names in zip(contrasts["treat1"], contrasts["treat2"])]
    number = contrasts.assign(pair=pair).groupby(["study", "pair"]).cumcount()
    labels = [study if k == 0 else f"{study} (estimate {k + 1})" for study, k in zip(contrasts["study"], number)]
    method = fit.method if fit.method in ("DL", "REML", "ML") else None
    tau = "method.tau = " + _r_text(method) if method else f"tau.preset = {_r_number(fit.tau)}"
    order = _r_vector(map(_r_text, fit.treatments))
    lines = [
        f"# {len(contrasts)} estimates of {fit.n_studies} studies, fitted with netmeta and compared with psps-paper {versions()['psps-paper']}.",
        "# Written by psps-paper export. Needs R with the package netmeta (2.8 or later).",
        "library(netmeta)",
        "",
        "contrasts <- data.frame(",
        f"  studlab = {_r_vector(map(_r_text, labels))},",
        f"  treat1 = {_r_vector(map(_r_text, contrasts['treat1']))},",
        f"  treat2 = {_r_vector(map(_r_text, contrasts['treat2']))},",
        f"  TE = {_r_vector(map(_r_number, contrasts['te']))},",
        f"  seTE = {_r_vector(map(_r_number, contrasts['se']))}",
        ")",
        "",
        f"fit <- netmeta(TE, seTE, treat1, treat2, studlab, data = contrasts, sm = {_r_text(measure)}, {tau},",
        f"               common = TRUE, random = TRUE, level.ma = {_r_number(fit.level)}, seq = {order})",
        "print(fit)",
        f"print(netrank(fit, small.values = {_r_text('bad' if desirable == 'higher' else 'good')}))",
        "",
        "# What psps-paper computed, row minus column",
        f"treatments <- {order}",
        *[f"expected_{name} <- {_r_matrix(frame)}" for name, frame in (("TE", fit.te), ("seTE", fit.se))],
        f"expected_tau2 <- {_r_number(fit.tau2)}",
        f"expected_Q <- {_r_number(fit.q)}",
        f"expected_I2 <- {_r_number(fit.i2)}",
        "agree <- function(found, expected) {",
        f"  stopifnot(isTRUE(all.equal(unname(found), unname(expected), tolerance = {_r_number(TOLERANCE)})))",
        "}",
        "agree(fit$TE.random[treatments, treatments], expected_TE)",
        "agree(fit$seTE.random[treatments, treatments], expected_seTE)",
        "agree(fit$tau^2, expected_tau2)",
        "agree(fit$Q, expected_Q)",
        "agree(fit$I2, expected_I2)",
        'cat("netmeta", as.character(packageVersion("netmeta")), "agrees with psps-paper\\n")',
    ]
    return "\n".join(lines) + "\n"


def _r_text(text: str) -> str:
    return '"' + str(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'


def _r_number(value: float) -> str:
    value = float(value)
    if value != value:
        return "NA_real_"
    return format(value, ".17g")


def _r_vector(items) -> str:
    return "c(" + ", ".join(items) + ")"


def _r_matrix(frame: pd.DataFrame) -> str:
    cells = [_r_number(value) for row in frame.to_numpy() for value in row]
    return f"matrix({_r_vector(cells)}, nrow = {len(frame)}, byrow = TRUE)"
