"""The star_demo oracle written in every convention that the import knows, and data folders in both states."""

from __future__ import annotations

import atexit
import csv
import functools
import io
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd

from helpers import DATA, ROOT
from psps_paper.living.model import Import, Options

ORACLE = json.loads((ROOT / "tests" / "oracles" / "star_demo.json").read_text(encoding="utf-8"))
# Names of the oracle's treatments in this review
LABELS = {
    "Neuromodulation": "neuromodulation",
    "Placebo": "placebo/sham",
    "Cons+MinInv": "conservative + minimally invasive",
    "Conservative": "conservative",
}
PEOPLE = 32  # an arm; 32 / 2 is a square and 32 a power of two, so SDs give the standard errors back bit by bit


def star_demo() -> pd.DataFrame:
    """Contrasts of the oracle: DataFrame [study, treat1, treat2, te, se]."""
    given = ORACLE["input"]
    return pd.DataFrame(
        {
            "study": given["studlab"],
            "treat1": given["treat1"],
            "treat2": given["treat2"],
            "te": given["TE"],
            "se": given["seTE"],
        }
    )


def star_arms() -> pd.DataFrame:
    """Arms whose mean difference, second minus first, is the oracle's te with its se: pain, where lower is better."""
    rows = []
    for row in star_demo().itertuples():
        sd = row.se * np.sqrt(PEOPLE / 2)
        rows.append((row.study, row.treat1, PEOPLE, -row.te, sd))
        rows.append((row.study, row.treat2, PEOPLE, 0.0, sd))
    return pd.DataFrame(rows, columns=["study", "treatment", "n", "mean", "sd"])


def star_pairs() -> pd.DataFrame:
    """The same, one row a study."""
    arms = star_arms()
    first, second = arms.iloc[::2].reset_index(drop=True), arms.iloc[1::2].reset_index(drop=True)
    return pd.DataFrame(
        {
            "study": first["study"],
            **{
                f"{name}{k}": arm[name]
                for k, arm in ((1, first), (2, second))
                for name in ("treatment", "n", "mean", "sd")
            },
        }
    )


def star_baselines() -> pd.DataFrame:
    """The contrasts as gemtc and multinma write them: the second arm of each study is the baseline, in a row without
    effect."""
    rows = []
    for row in star_demo().itertuples():
        rows += [(row.study, row.treat1, row.te, row.se), (row.study, row.treat2, "NA", "NA")]
    return pd.DataFrame(rows, columns=["study", "treatment", "te", "se"])


def _text(columns: list[str], rows: list[list], separator: str = ",") -> bytes:
    lines = io.StringIO(newline="")
    writer = csv.writer(lines, delimiter=separator, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[repr(float(cell)) if isinstance(cell, float) else cell for cell in row] for row in rows])
    return lines.getvalue().encode()


def _csv(table: pd.DataFrame, names: list[str], separator: str = ",") -> bytes:
    return _text(names, table.to_numpy(dtype=object).tolist(), separator)


def _xlsx(table: pd.DataFrame, names: list[str]) -> bytes:
    book = openpyxl.Workbook()
    book.active.append(names)
    for row in table.to_numpy(dtype=object).tolist():
        book.active.append(row)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def _revman_5() -> bytes:
    columns = [
        "Comparison Number",
        "Outcome Number",
        "Subgroup Number",
        "Name",
        "Data Type",
        "Effect Measure",
        "Events 1",
        "Mean 1",
        "SD 1",
        "Total 1",
        "Events 2",
        "Mean 2",
        "SD 2",
        "Total 2",
        "Q",
        "df",
        "Group Label 1",
        "Group Label 2",
    ]
    pairs = star_pairs()
    rows = [[1, 0, 0, "Neuromodulation against others", *[""] * 14]]
    # RevMan keeps one pair of groups an outcome; the second group is named in each row here, as its "Group Label 2"
    # allows
    rows.append([1, 1, 0, "Pain", "CON", "MD", "0", "", "", 800, "0", "", "", 800, 57.6, 22, "Neuromodulation", ""])
    rows += [
        [
            1,
            1,
            0,
            row.study,
            "",
            "",
            "0",
            row.mean1,
            row.sd1,
            row.n1,
            "0",
            row.mean2,
            row.sd2,
            row.n2,
            "",
            "",
            "",
            row.treatment2,
        ]
        for row in pairs.itertuples()
    ]
    return _text(columns, rows)


def examples() -> dict[str, tuple[str, bytes, Options]]:
    """For each convention: file name, content, options."""
    contrasts, arms, pairs = star_demo(), star_arms(), star_pairs()
    as_contrasts = Options("contrasts", labels=LABELS)
    as_arms = Options("arms", labels=LABELS, measure="MD")  # of a review that measures so: see measured_as()
    wide = [f"{name}{k}" for k in (1, 2) for name in ("treat", "n", "mean", "sd")]
    with_ratings = contrasts.assign(rob=1, indirectness=1)
    return {
        "package": ("own.csv", _csv(contrasts, ["study", "treat1", "treat2", "te", "se"]), as_contrasts),
        "netmeta": ("netmeta.csv", _csv(contrasts, ["studlab", "treat1", "treat2", "TE", "seTE"]), as_contrasts),
        "netmeta, tabs": (
            "netmeta.tsv",
            _csv(contrasts, ["studlab", "treat1", "treat2", "TE", "seTE"], "\t"),
            as_contrasts,
        ),
        "netmeta, workbook": (
            "netmeta.xlsx",
            _xlsx(contrasts, ["studlab", "treat1", "treat2", "TE", "seTE"]),
            as_contrasts,
        ),
        "CINeMA, inverse variance": (
            "cinema.csv",
            _csv(with_ratings, ["study", "t1", "t2", "effect", "se", "rob", "indirectness"]),
            as_contrasts,
        ),
        "own names": (
            "mapped.csv",
            _csv(contrasts, ["Author", "A", "B", "SMD", "SE(SMD)"], ";"),
            Options(
                "contrasts",
                labels=LABELS,
                mapping={"study": "Author", "treat1": "A", "treat2": "B", "te": "SMD", "se": "SE(SMD)"},
            ),
        ),
        "other direction": (
            "reversed.csv",
            _csv(contrasts.assign(te=-contrasts["te"]), ["studlab", "treat1", "treat2", "TE", "seTE"]),
            Options("contrasts", labels=LABELS, reverse=True),
        ),
        "netmeta pairwise, long arms": ("long.csv", _csv(arms, ["studlab", "treat", "n", "mean", "sd"]), as_arms),
        "netmeta pairwise, wide arms": ("wide.csv", _csv(pairs, ["studlab", *wide]), as_arms),
        "CINeMA, long": (
            "cinema_long.csv",
            _csv(arms.assign(rob=1, indirectness=1), ["study", "t", "n", "y", "sd", "rob", "indirectness"]),
            as_arms,
        ),
        "CINeMA, pairs of arms": (
            "cinema_pairs.csv",
            _csv(
                pairs.assign(rob=1, indirectness=1),
                ["id", *[f"{name}{k}" for k in (1, 2) for name in ("t", "n", "y", "sd")], "rob", "indirectness"],
                ";",
            ),
            as_arms,
        ),
        "MetaInsight, long": ("metainsight_long.csv", _csv(arms, ["Study", "T", "N", "Mean", "SD"]), as_arms),
        "MetaInsight, wide": (
            "metainsight_wide.csv",
            _csv(pairs, ["Study", *[f"{name}.{k}" for k in (1, 2) for name in ("T", "N", "Mean", "SD")]]),
            as_arms,
        ),
        "gemtc, relative effects": (
            "gemtc.csv",
            _csv(star_baselines(), ["study", "treatment", "diff", "std.err"]),
            as_contrasts,
        ),
        "multinma, relative effects": (
            "multinma.csv",
            _csv(star_baselines(), [".study", ".trt", "y", "se"]),
            as_contrasts,
        ),
        "gemtc, arms": ("gemtc_arms.csv", _csv(arms, ["study", "treatment", "sampleSize", "mean", "std.dev"]), as_arms),
        "multinma, arms": ("multinma_arms.csv", _csv(arms, ["studyn", "trtc", "n", "y", "sd"]), as_arms),
        "RevMan 5": ("revman.csv", _revman_5(), as_arms),
        "RevMan Web": (
            "revman_web.csv",
            _csv(
                pairs[["study", "mean1", "sd1", "n1", "mean2", "sd2", "n2", "treatment2"]],
                [
                    "Study",
                    "Experimental mean",
                    "Experimental SD",
                    "Experimental N",
                    "Control mean",
                    "Control SD",
                    "Control N",
                    "Comparator intervention",
                ],
            ),
            Options("arms", labels=LABELS, measure="MD", constants={"treat1": "Neuromodulation"}),
        ),
        "RevMan Web, inverse variance": (
            "revman_web_giv.csv",
            _csv(contrasts, ["Study", "Experimental intervention", "Comparator intervention", "GIV Mean", "GIV SE"]),
            as_contrasts,
        ),
        "metafor": (
            "metafor.csv",
            _csv(
                pairs[["study", "n1", "mean1", "sd1", "n2", "mean2", "sd2", "treatment2"]],
                ["trial", "n1i", "m1i", "sd1i", "n2i", "m2i", "sd2i", "against"],
            ),
            Options(
                "arms",
                labels=LABELS,
                measure="MD",
                constants={"treat1": "Neuromodulation"},
                mapping={"treat2": "against"},
            ),
        ),
        "common names": (
            "common.csv",
            _csv(contrasts, ["Trial", "Treatment", "Comparator", "Estimate", "Std. Error"]),
            as_contrasts,
        ),
        "common names, arms": (
            "arms.csv",
            _csv(arms, ["Trial", "Intervention", "Total", "Mean", "Std. dev."]),
            as_arms,
        ),
    }


def measured_as(measure: str | None, data: Path) -> Path:
    """The same data folder with another measure of pain in ``outcomes.csv``."""
    if measure:
        path = data / "outcomes.csv"
        path.write_text(
            path.read_text(encoding="utf-8").replace("pain,Pain intensity,SMD,", f"pain,Pain intensity,{measure},"),
            encoding="utf-8",
        )
    return data


@functools.cache
def review_of(measure: str | None) -> Path:
    """A data folder to read from, whose pain has that measure."""
    if measure is None:
        return DATA
    place = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, place)
    return measured_as(measure, printed_only(place))


def with_trials(folder: Path) -> Path:
    """A copy of the data folder in which the oracle stands for the article's Supplementary Data 2."""
    from helpers import copy_data
    from psps_paper.living.importing import read_trials
    from psps_paper.living.store import write_trials

    data = copy_data(folder)
    name, content, options = examples()["netmeta"]
    (folder / name).write_bytes(content)
    write_trials(read_trials(folder / name, options, data), data)
    return data


def printed_only(folder: Path) -> Path:
    """A copy of the data folder without trials."""
    data = Path(shutil.copytree(DATA, folder / "data"))
    shutil.rmtree(data / "trials", ignore_errors=True)
    return data


def read(data, text: str | bytes, kind: str, outcome: str, *, file: str = "table.csv", **options) -> Import:
    """Import a file's text for an outcome of a data folder, with the options of the command line."""
    from psps_paper.living.importing import convert
    from psps_paper.living.reading import table_from_bytes

    content = text if isinstance(text, bytes) else text.encode()
    return convert(
        table_from_bytes(file, content, skip=options.get("skip", 0)), Options(kind, outcome=outcome, **options), data
    )


def each_measure(place: Path) -> Path:
    """A data folder below ``place`` with one outcome of each measure, made from the review in ``cases/_review``."""
    from psps_paper.living.new_review import build_data

    shutil.copytree(ROOT / "tests" / "cases" / "_review", place / "review")
    path = place / "review" / "review.yml"
    settings = path.read_text(encoding="utf-8")
    block = settings[settings.index("  - name: events_or") : settings.index("  - name: events_rd")]
    tables = {"HR": "h.csv", "IRR": "t.csv", "ROM": "c.csv"}
    for measure in ("RR", "HR", "IRR", "ROM"):
        named = (
            block.replace("events_or", measure.lower())
            .replace(": OR", f": {measure}")
            .replace("e.csv", tables.get(measure, "e.csv"))
        )
        settings += named.replace("arms", "contrasts") if measure == "HR" else named
    path.write_text(settings, encoding="utf-8")
    (place / "review" / "tables" / "h.csv").write_text("study,treat1,treat2,logHR,se\nAsh 2001,A,B,0.1,0.2\n")
    (place / "review" / "tables" / "t.csv").write_text(
        "study,treatment,events,time\nAsh 2001,A,9,200\nAsh 2001,B,5,210\n"
    )
    for name, content in build_data(place / "review").items():
        (place / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (place / "data" / name).write_bytes(content)
    return place / "data"
