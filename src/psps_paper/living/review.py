"""A review made with this package: its settings, data and results."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from psps_paper import formatting
from psps_paper.article.trials import BookNetwork, book_network, check_network, load_source, load_trials, main_part
from psps_paper.book.display import Shown, sentence
from psps_paper.book.trials import inconsistency_table, small_study_table
from psps_paper.living.analyses import (
    REGRESSION,
    SUBGROUPS,
    certainty_rows,
    findings_rows,
    important_of,
    regression_row,
    subgroup_rows,
)
from psps_paper.living.arms import HEDGES
from psps_paper.living.certainty import Rules, judgements
from psps_paper.living.chapters import show_changes
from psps_paper.living.diff import comparable, compare
from psps_paper.living.documents import DocumentTable
from psps_paper.living.model import LOG_MEASURES, MEASURE_NAMES
from psps_paper.living.results import read_results, review_results
from psps_paper.living.settings import CONFIG, read_settings
from psps_paper.living.store import load_arms
from psps_paper.living.study_table import numbers_of, read_flow, read_studies
from psps_paper.network import heterogeneity_table, orient
from psps_paper.network.model import Desirable
from psps_paper.network.ranking import p_scores, rank_probabilities
from psps_paper.network.summary import league_table
from psps_paper.tables.dataset import Dataset, dataset
from psps_paper.tables.errors import TableError
from psps_paper.tables.files import current_folder, finish_replacing, only_writer

ESTIMATORS = {
    "DL": "DerSimonian and Laird",
    "REML": "restricted maximum likelihood",
    "ML": "maximum likelihood",
}
CONTINUITY = {
    "zero_cells": "each cell of studies with a zero cell",
    "all": "each cell of all studies",
    "treatment_arm": "studies with a zero cell, shared out by the sizes of the other arms",
}
# Terms of the import report, in words for readers of a page
PLAIN_WORDS = {
    r"\btreat1 minus treat2\b": "the first-named treatment minus the second",
    r"\bthe sign of te\b": "the sign of the effect",
    r"\boutcomes\.csv requires that higher te favours\b": "review.yml requires that higher effects favour",
    r"\boutcomes\.csv requires that lower te favours\b": "review.yml requires that lower effects favour",
}
CERTAINTY_NOTE = (
    "Certainty starts at high; some concerns cost one level, major concerns two, and a domain not judged costs none."
)


def open_review(folder: Path | str | None = None) -> Review:
    """Open the review in a folder; by default the working directory or, for chapters, the folder above it."""
    places = [Path(folder)] if folder else [Path.cwd(), Path.cwd().parent]
    for place in places:
        if (place / CONFIG).is_file():
            # Another process is writing there, or the folder is read-only
            with contextlib.suppress(TableError, OSError), only_writer(place):
                finish_replacing(place / "data")
            return Review(place.absolute(), read_settings(place))
    raise TableError(f"no {CONFIG} in {places[0]}")


@dataclass(frozen=True)
class Review:
    """A review as its chapters show it.

    Attributes
    ----------
    folder : Path
    settings : dict
        Content of ``review.yml``.
    """

    folder: Path
    settings: dict

    @cached_property
    def data(self) -> Dataset:
        """The data folder as it was when first read."""
        return dataset(current_folder(self.folder / "data") or self.folder / "data")

    @property
    def outcomes(self) -> list[str]:
        """Names of the outcomes, the main one first."""
        return [entry["name"] for entry in self.settings["outcomes"]]

    @property
    def treatments(self) -> list[str]:
        """Names of the treatments."""
        return [entry["name"] for entry in self.settings["treatments"]]

    @cached_property
    def _networks(self) -> dict[str, BookNetwork]:
        return {outcome: book_network(self.data, outcome=outcome) for outcome in self.outcomes}

    def _outcome(self, outcome: str) -> Mapping[str, str]:
        return next(entry for entry in self.settings["outcomes"] if entry["name"] == outcome)

    def network(self, outcome: str) -> BookNetwork:
        """Return the fitted network of an outcome."""
        return self._networks[outcome]

    def label(self, outcome: str) -> str:
        """Return the name of an outcome for readers."""
        return self._outcome(outcome)["label"]

    def reference(self, outcome: str) -> str:
        """Return the reference treatment of the forest plots."""
        return self._outcome(outcome)["reference"]

    def te_desirable(self, outcome: str) -> Desirable:
        """Return the desirable direction of te."""
        return self._outcome(outcome)["te_desirable"]

    def direction(self, outcome: str) -> dict[str, str | float | bool]:
        """Return the arguments of a forest plot: direction, unit, scale, and the level of its intervals."""
        return {
            "desirable": self.te_desirable(outcome),
            "first": "the treatment",
            "second": self.reference(outcome),
            "ratio": self.is_ratio(outcome),
            "unit": self.measure(outcome) if self.is_ratio(outcome) else self._outcome(outcome)["unit"],
            "level": self.network(outcome).outcome.level,
        }

    def measure(self, outcome: str) -> str:
        """Name the effect measure in words; for a ratio, te itself is its logarithm."""
        return MEASURE_NAMES[self._outcome(outcome)["measure"]]

    def is_ratio(self, outcome: str) -> bool:
        """Test whether te is the logarithm of a ratio; pages then show the ratio."""
        return self._outcome(outcome)["measure"] in LOG_MEASURES

    def number(self, outcome: str) -> Callable[[float], str]:
        """Return the formatter of an outcome's effects: unchanged, or as a ratio where te is a logarithm."""
        return formatting.ratio_number if self.is_ratio(outcome) else formatting.number

    def model(self, outcome: str) -> str:
        """Describe the statistical model of an outcome in a sentence."""
        settings = self.network(outcome).outcome
        parts = [
            f"{self.measure(outcome)}, random effects",
            f"between-study variance by {ESTIMATORS[settings.tau2]} ({settings.tau2})",
            f"{self.level(outcome)} intervals",
        ]
        pairs = self.network(outcome).fit.contrasts
        if pairs.duplicated(["study", "treat1", "treat2"]).any():
            several = f"correlated by {settings.correlation:g}" if settings.correlation else "counted as studies"
            parts.append(f"several estimates of one study {several}")
        if any(entry["kind"] == "arms" for entry in self.sources_of(outcome)):
            if settings.measure == "SMD":
                parts.append(HEDGES[settings.correction])
            elif settings.measure in ("OR", "RR", "RD", "IRR") and settings.continuity != "none":
                parts.append(f"{settings.increment:g} added to {CONTINUITY[settings.continuity]}")
        return f"{self.label(outcome)}: {'; '.join(parts)}."

    def league(self, outcome: str) -> pd.DataFrame:
        """Build the league table, the best treatment first; ``attrs["orientation"]`` describes a cell in words."""
        fit = self.network(outcome).fit
        table = league_table(fit, order=self.order(outcome), number=self.number(outcome))
        if self.is_ratio(outcome):
            table.index.name = "row to column"
            table.attrs["orientation"] = (
                f"Each cell is the {self.measure(outcome)} of the treatment of its row to that of its column, "
                f"with the {fit.level:.0%} confidence interval."
            )
        return table

    def level(self, outcome: str) -> str:
        """Return the level of an outcome's intervals, as text."""
        return f"{100 * self.network(outcome).outcome.level:g}%"

    def question_table(self) -> pd.DataFrame:
        """Tabulate the question with its treatments and outcomes: DataFrame [what, this review]."""
        rows = [
            ("question", self.settings["question"]),
            ("treatments", ", ".join(self.treatments)),
            ("outcomes", ", ".join(map(self.label, self.outcomes))),
        ]
        if self.settings.get("note"):
            rows.append(("note", str(self.settings["note"])))
        return pd.DataFrame(rows, columns=["what", "this review"])

    def summary(self) -> pd.DataFrame:
        """Summarise the outcomes: DataFrame [outcome, studies, estimates, treatments, first by P-score, model]."""
        rows = []
        for outcome in self.outcomes:
            fit = self.network(outcome).fit
            rows.append(
                {
                    "outcome": self.label(outcome),
                    "studies": str(fit.contrasts["study"].nunique()),
                    "estimates": str(fit.n_contrasts),
                    "treatments": str(len(fit.treatments)),
                    "first by P-score": self.order(outcome)[0],
                    "model": f"random effects, {self.network(outcome).outcome.tau2}",
                }
            )
        return pd.DataFrame(rows)

    def edges(self, outcome: str) -> pd.DataFrame:
        """List the direct comparisons: DataFrame [treat1, treat2, n_studies, n_estimates]."""
        return self.network(outcome).edges.rename(columns={"studies": "n_studies", "estimates": "n_estimates"})

    def sizes(self, outcome: str) -> tuple[pd.Series, str]:
        """Return the sizes of the dots in the network graph, and their meaning.

        They are patients by treatment, or studies if not every study of the fit reports its numbers.
        """
        rows = self.network(outcome).fit.contrasts
        arms = load_arms(self.data)
        arms = arms[(arms["outcome"] == outcome) & arms["study"].isin(rows["study"])]
        sides = pd.concat([rows[["study", f"treat{k}"]].set_axis(["study", "treatment"], axis=1) for k in (1, 2)])
        used = sides.drop_duplicates().merge(arms[["study", "treatment", "n"]], how="left", on=["study", "treatment"])
        if used["n"].isna().any():
            return used.groupby("treatment").size(), "studies"
        return used.groupby("treatment")["n"].sum(), "patients"

    def forest(self, outcome: str) -> pd.DataFrame:
        """Compare each treatment with the reference: DataFrame [label, te, lower, upper, tier, treatment_class].

        Includes ``predict_lower`` and ``predict_upper`` if there are enough degrees of freedom.
        """
        fit, reference = self.network(outcome).fit, self.reference(outcome)
        table = pd.DataFrame(
            [
                {
                    "label": name,
                    "te": fit.te.at[name, reference],
                    "lower": fit.lower.at[name, reference],
                    "upper": fit.upper.at[name, reference],
                    "predict_lower": fit.predict_lower.at[name, reference],
                    "predict_upper": fit.predict_upper.at[name, reference],
                    "tier": "recomputed",
                    "treatment_class": name,
                }
                for name in self.order(outcome)
                if name != reference
            ]
        )
        return table.dropna(axis="columns")

    def order(self, outcome: str) -> list[str]:
        """List the treatments by P-score, the best first."""
        return list(self.p_scores(outcome).index)

    def p_scores(self, outcome: str) -> pd.Series:
        """Return the P-scores, the best first."""
        scores = p_scores(self.network(outcome).fit, desirable=self.te_desirable(outcome))
        return scores.sort_values(ascending=False, kind="stable")

    def ranks(self, outcome: str) -> pd.DataFrame:
        """Compute the probability of each rank: DataFrame [treatment x rank]."""
        return rank_probabilities(
            self.network(outcome).fit, desirable=self.te_desirable(outcome), draws=100_000, seed=1
        )

    @cached_property
    def studies(self) -> pd.DataFrame | None:
        """The table of studies, or None if review.yml names none."""
        name = self.settings.get("studies")
        return None if name is None else read_studies(self.folder / name, name, set(load_trials(self.data)["study"]))

    def flow(self) -> pd.DataFrame | None:
        """Counts of the flow diagram, or None if review.yml names no such table."""
        name = self.settings.get("flow")
        return None if name is None else read_flow(self.folder / name, name)

    def characteristics(self) -> pd.DataFrame:
        """Every study with its row of the table of studies and the treatments that it compares, as text."""
        rows = load_trials(self.data)
        named = pd.concat(
            [rows[["study", side]].set_axis(["study", "treatment"], axis=1) for side in ("treat1", "treat2")]
        )
        place = {name: k for k, name in enumerate(self.treatments)}
        arms = named.groupby("study")["treatment"].agg(lambda x: ", ".join(sorted(set(x), key=place.__getitem__)))
        if self.studies is None:
            return arms.rename("treatments").reset_index()
        table = self.studies.rename(columns={"rob": "risk of bias"})
        return table.assign(treatments=table["study"].map(arms).fillna("no result used"))

    def rules(self, outcome: str) -> Rules:
        """Return the settings on which the judgements of an outcome's certainty depend."""
        entry = self._outcome(outcome)
        return Rules(important_of(dict(entry), ratio=self.is_ratio(outcome)), entry.get("reporting_bias", ""))

    def certainty(self, outcome: str) -> pd.DataFrame:
        """Rate each treatment against the reference: DataFrame [treatment, certainty, each domain]."""
        fit, rules = self.network(outcome).fit, self.rules(outcome)
        return certainty_rows(fit, self.reference(outcome), self.studies, rules, self.order(outcome))

    def certainty_reasons(self, outcome: str) -> pd.DataFrame:
        """Give reasons for each judgement, best treatment first: DataFrame [treatment, domain, judgement, why]."""
        rows = judgements(self.network(outcome).fit, self.reference(outcome), self.studies, self.rules(outcome))
        place = {name: k for k, name in enumerate(self.order(outcome))}
        return rows.sort_values("treatment", key=lambda names: names.map(place), kind="stable", ignore_index=True)

    def findings(self, outcome: str) -> pd.DataFrame:
        """Summarise the findings as text: DataFrame [treatment, studies, effect, ..., certainty, why]."""
        entry = self._outcome(outcome)
        risk = (entry["measure"], float(entry["baseline_risk"])) if "baseline_risk" in entry else None
        fit, number = self.network(outcome).fit, self.number(outcome)
        order = self.order(outcome)
        return findings_rows(fit, self.reference(outcome), self.studies, self.rules(outcome), order, number, risk)

    def subgroups(self, outcome: str) -> pd.DataFrame:
        """Fit the network in each subgroup that review.yml names; no rows if it names none."""
        parts = []
        for column in self.settings.get("subgroups", []):
            groups = self.studies.set_index("study")[column]
            fit, number = self.network(outcome).fit, self.number(outcome)
            made = subgroup_rows(fit, groups, self.reference(outcome), number, self.order(outcome))
            parts.append(made.assign(subgroup=f"{column}: " + made["subgroup"]))
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=SUBGROUPS)

    def moderators(self, outcome: str) -> pd.DataFrame:
        """Run a network meta-regression on each moderator that review.yml names; no rows if it names none."""
        fit = self.network(outcome).fit
        used = None if self.studies is None else self.studies[self.studies["study"].isin(fit.contrasts["study"])]
        rows = [
            regression_row(
                fit,
                numbers_of(used, column, self.settings["studies"]),
                self.reference(outcome),
                self.number(outcome),
            )
            for column in self.settings.get("moderators", [])
        ]
        return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=REGRESSION)

    def document_tables(self) -> list[DocumentTable]:
        """Collect the tables of the review for Word and Excel, each with its footnotes."""
        tables = [DocumentTable("Studies", "Characteristics of the studies.", self.characteristics())]
        for outcome in self.outcomes:
            label, reference = self.label(outcome), self.reference(outcome)
            against = (
                f"Effects are the {self.measure(outcome)}, treatment against {reference}, with {self.level(outcome)}"
            )
            notes = (f"{against} confidence intervals. {self.model(outcome)}", CERTAINTY_NOTE)
            league = self.league(outcome)
            part = [
                ("findings", "summary of findings.", self.findings(outcome), notes),
                ("certainty", "judgements.", self.certainty(outcome), notes[1:]),
                ("league", "league table.", league.reset_index(), (league.attrs["orientation"],)),
                ("subgroups", "subgroups.", self.subgroups(outcome), notes[:1]),
                ("moderators", "network meta-regression.", self.moderators(outcome), notes[:1]),
            ]
            tables += [
                DocumentTable(f"{name} {outcome}", f"{label}: {caption}", table, footnotes)
                for name, caption, table, footnotes in part
                if len(table)
            ]
        more = ("Heterogeneity", self.heterogeneity()), ("Inconsistency", self.inconsistency())
        return tables + [DocumentTable(name, f"{name} by outcome.", table) for name, table in more]

    def heterogeneity(self) -> pd.DataFrame:
        """Tabulate heterogeneity by outcome, as text."""

        def made(book: BookNetwork) -> pd.DataFrame:
            table = heterogeneity_table(book.fit)
            table.insert(1, "estimator", book.outcome.tau2)
            # As in figures
            return table.rename(
                columns=lambda name: name.replace("tau2", "tau²").replace("I2", "I²").replace(" %", "%")
            )

        return self._by_outcome(made)

    def inconsistency(self) -> pd.DataFrame:
        """Tabulate direct against indirect evidence by outcome and comparison; one row says so if there is none.

        For a ratio, ``difference or ratio`` is direct divided by indirect.
        """
        tables = {}
        for outcome in self.outcomes:
            book = self.network(outcome)
            made = inconsistency_table(book.fit, book.order, self.number(outcome))
            tables[self.label(outcome)] = made.rename(columns={"difference": "difference or ratio"})
        return _stacked(tables)

    def small_studies(self) -> pd.DataFrame:
        """Tabulate Egger's test by outcome, with the order of treatments that sets the direction of comparisons."""
        table = self._by_outcome(lambda book: small_study_table(book.fit, book.order))
        return table.rename(columns={"order": "order of treatments"})

    def _by_outcome(self, make: Callable[[BookNetwork], pd.DataFrame]) -> pd.DataFrame:
        return _stacked({self.label(outcome): make(self.network(outcome)) for outcome in self.outcomes})

    def sources_of(self, outcome: str) -> list[dict]:
        """Return the records of the tables read for an outcome, as in ``data/trials/source.json``."""
        return [entry for entry in load_source(self.data)["sources"] if entry["outcome"] == outcome]

    def sources(self) -> pd.DataFrame:
        """List the tables read, with counts: DataFrame [outcome, file, layout, read, used, left out, SHA-256]."""
        return pd.DataFrame(
            [
                {
                    "outcome": self.label(outcome),
                    "file": entry["file"],
                    "layout": entry["format"],
                    "read": f"{entry['read']} {entry['unit']}",
                    "used": str(entry["used"]),
                    "left out": str(len(entry["listed"])),
                    "SHA-256": entry["sha256"][:12],
                }
                for outcome in self.outcomes
                for entry in self.sources_of(outcome)
            ]
        )

    def listed(self) -> pd.DataFrame:
        """List rows not used, conversions, and notes on the data: DataFrame [file, row, study, what]."""
        rows = []
        for entry in load_source(self.data)["sources"]:
            rows += [
                {"file": entry["file"], "row": row["row"], "study": row["study"], "what": f"not used: {row['reason']}"}
                for row in entry["listed"]
            ]
            rows += [
                {"file": entry["file"], "row": "", "study": "", "what": f"converted: {text}"}
                for text in entry["conversions"]
            ]
            rows += [
                {"file": entry["file"], "row": "", "study": "", "what": f"note: {text}"}
                for text in entry.get("notes", [])
            ]
        for outcome in self.outcomes:
            files = ", ".join(entry["file"] for entry in self.sources_of(outcome))
            notes = check_network(self._estimates(outcome), files, self.reference(outcome))
            rows += [{"file": files, "row": "", "study": "", "what": f"note: {text}"} for text in notes]
        table = pd.DataFrame(rows, columns=["file", "row", "study", "what"])
        return table.assign(what=table["what"].replace(PLAIN_WORDS, regex=True))

    def _estimates(self, outcome: str) -> pd.DataFrame:
        table = load_trials(self.data)
        return table[table["outcome"] == outcome]

    def contrasts(self) -> pd.DataFrame:
        """List every estimate as text: DataFrame [outcome, study, comparison, measure, estimate, se, in the fit].

        The last column gives the reason if an estimate is not in the fit. Comparisons are named in the declared order
        of treatments. A ratio is shown as such, with the standard error of its logarithm.
        """
        parts = [
            orient(part, self.network(outcome).outcome.order)
            for outcome in self.outcomes
            for part in main_part(self._estimates(outcome), self.reference(outcome))
        ]
        table = pd.concat([part for part in parts if len(part)]).sort_index()
        reason = table["reason"] if "reason" in table else pd.Series(index=table.index, dtype=object)
        return pd.DataFrame(
            {
                "outcome": table["outcome"].map(self.label),
                "study": table["study"],
                "comparison": table["treat1"] + " vs " + table["treat2"],
                "measure": table["outcome"].map(self.measure),
                "estimate": [
                    formatting.ratio_number(te) if self.is_ratio(outcome) else formatting.number(te, 3)
                    for outcome, te in zip(table["outcome"], table["te"], strict=True)
                ],
                "se": [
                    formatting.number(se, 3) + " (log)" * self.is_ratio(outcome)
                    for outcome, se in zip(table["outcome"], table["se"], strict=True)
                ],
                "in the fit": reason.map(lambda text: "yes" if pd.isna(text) else f"no: {text}"),
            }
        ).reset_index(drop=True)

    def changes(self) -> pd.DataFrame | None:
        """List differences from ``release/results.json``, as from :func:`psps_paper.living.diff.compare`.

        None if there is no release, or only one without any of these outcomes (same name, measure and direction).
        """
        place = current_folder(self.folder / "release")
        if place is None or not (place / "results.json").is_file():
            return None
        old, new = read_results(place / "results.json"), review_results(self.data)
        return compare(old, new) if comparable(old, new) else None

    def show_changes(self) -> Shown:
        """Show the changes as a table, or a sentence if there are none or no release to compare with."""
        changes = self.changes()
        if changes is None:
            return sentence(
                "There is no earlier release of this review with one of these outcomes to compare with. To make one,"
                " run make release."
            )
        return show_changes(
            changes,
            caption="Differences from the last release; conclusions that flip come first.",
            nothing="Nothing has changed since the last release.",
        )


def _stacked(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Stack the tables of the outcomes, with the outcome in the first column."""
    return pd.concat(tables, names=["outcome", None]).reset_index("outcome").reset_index(drop=True).fillna("")
