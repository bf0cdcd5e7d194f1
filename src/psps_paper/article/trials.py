"""Trial-level data if present, otherwise printed numbers: one switch for chapters and checks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from psps_paper.article.outcomes import Outcome, load_outcome
from psps_paper.article.published import PublishedNetwork, comparisons, forest_rows, published_edges, published_network
from psps_paper.network import fit_network, subnetworks
from psps_paper.network.model import Desirable, NetworkFit
from psps_paper.network.orientation import orient
from psps_paper.network.ranking import p_scores
from psps_paper.network.sensitivity import comparison_adjusted_funnel
from psps_paper.pairwise import EggerTest, egger_test
from psps_paper.tables.csv_text import unprotected
from psps_paper.tables.dataset import Dataset, dataset
from psps_paper.tables.errors import TableError
from psps_paper.tables.trials import SOURCE, TRIALS

CONTRASTS = "contrasts.csv"
ENOUGH_FOR_EGGER = 10  # Sterne 2011


@dataclass(frozen=True)
class Printed:
    """The state with only the article's printed numbers."""

    data: Dataset
    tier: str = "implied"
    label: str = "printed numbers only"
    network: str = "recovered network"


@dataclass(frozen=True, eq=False)
class Trials:
    """The state with trial-level estimates in ``data/trials``.

    Attributes
    ----------
    contrasts : DataFrame [outcome, study, treat1, treat2, te, se, rows]
    source : dict
        Content of ``source.json``: files, checksums, conversions and exclusions.
    """

    data: Dataset
    contrasts: pd.DataFrame
    source: dict
    tier: str = "recomputed"
    label: str = "trial-level data"
    network: str = "network of the trial-level data"


@dataclass(frozen=True, eq=False)
class BookNetwork:
    """The network that a chapter shows, in either state.

    Attributes
    ----------
    state : Printed or Trials
    fit : NetworkFit
        Fit of the trials, or the central solution of the printed numbers.
    tier : str
        "recomputed" or "implied": the badge of everything computed from ``fit``.
    forest_tier : str
        Badge of a forest plot: "recomputed", or "printed and implied".
    edges_tier : str
        Badge of the direct comparisons: "recomputed", or "recomputed and printed" if only their numbers are known.
    edges : DataFrame [treat1, treat2, estimates]
        Direct comparisons.
    excluded : DataFrame
        Contrasts outside the network's largest part, with ``reason``; empty in the state Printed.
    published : PublishedNetwork or None
        The network implied by the printed numbers; None for a review without any.
    outcome : Outcome
        Its row of ``outcomes.csv``: order of treatments, reference, directions, estimator, level.
    """

    state: Printed | Trials
    fit: NetworkFit
    tier: str
    forest_tier: str
    edges_tier: str
    edges: pd.DataFrame
    excluded: pd.DataFrame
    published: PublishedNetwork | None
    outcome: Outcome

    @property
    def order(self) -> list[str]:
        """Treatments of the network in the declared order or, if one is not declared, by P-score, the best first."""
        if not self.outcome.undeclared(self.fit.treatments):
            return self.outcome.ordered(self.fit.treatments)
        return list(
            p_scores(self.fit, desirable=self.outcome.te_desirable).sort_values(ascending=False, kind="stable").index
        )

    @property
    def name(self) -> str:
        """Name of the network of ``fit`` for a caption."""
        return self.state.network

    def text_for(self, *, printed: str, trials: str) -> str:
        """Choose a text by whether there are trial-level estimates."""
        return printed if isinstance(self.state, Printed) else trials

    def comparisons(self) -> pd.DataFrame:
        """List every direct comparison, including those outside the network, with its studies.

        Returns
        -------
        DataFrame [treat1, treat2, n_studies, n_estimates, refs, used]
            ``refs`` are reference numbers, or the trials' own names if there are trial-level data. ``n_estimates``
            is NA if it is not printed.
        """
        if isinstance(self.state, Printed):
            return comparisons(self.state.data.table("studies"), self.state.data.table("nma_published"))
        everything = pd.concat([self.fit.contrasts, self.excluded], ignore_index=True)
        edges = trial_edges(everything, self.outcome).rename(
            columns={"studies": "n_studies", "estimates": "n_estimates"}
        )
        refs, used = [], []
        for edge in edges.itertuples():
            own = everything[
                everything["treat1"].isin([edge.treat1, edge.treat2])
                & everything["treat2"].isin([edge.treat1, edge.treat2])
            ]
            refs.append(", ".join(sorted(own["study"].unique())))
            used.append(edge.treat1 in self.fit.treatments)
        return edges.assign(refs=refs, used=used)[["treat1", "treat2", "n_studies", "n_estimates", "refs", "used"]]

    def forest(self, reference: str) -> pd.DataFrame:
        """Return the rows of a forest plot: effects of ``reference`` against each other treatment.

        Returns
        -------
        DataFrame [label, te, lower, upper, tier, treatment_class]
        """
        if isinstance(self.state, Printed):
            return forest_rows(self.published, reference)
        fit = self.fit
        if reference not in fit.treatments:
            raise ValueError(f"reference={reference!r}: not one of {', '.join(fit.treatments)}")
        rows = [
            {
                "label": f"against {other}",
                "te": fit.te.at[reference, other],
                "lower": fit.lower.at[reference, other],
                "upper": fit.upper.at[reference, other],
                "tier": self.tier,
                "treatment_class": other,
            }
            for other in fit.treatments
            if other != reference
        ]
        return pd.DataFrame(rows).sort_values("te", ascending=False, ignore_index=True)


def load_source(data: Dataset | Path | str) -> dict:
    """Load ``data/trials/source.json``; raise an error if it is damaged."""
    trials = dataset(data).trials
    try:
        source = json.loads(trials.content(SOURCE).decode("utf-8"))
        if source["schema"] != 1 or not isinstance(source["sources"], list):
            raise ValueError("schema is not 1")
        return source
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TableError(f"{TRIALS}/{SOURCE}: {error}; expected the record that psps-paper import writes") from None


def load_trials(data: Dataset | Path | str) -> pd.DataFrame:
    """Load the trial-level contrasts of a data folder, checked against their dictionary and recorded checksum.

    Raises
    ------
    TableError
        The table is damaged, or was edited since its import.
    """
    data = dataset(data)
    if data.trials is None:
        raise TableError(f"{data.folder}: no trial-level data; psps-paper import writes them")
    contrasts = data.trials.table("contrasts")
    recorded = load_source(data).get("files", {}).get(CONTRASTS)
    if recorded != data.trials.checksums[CONTRASTS]:
        raise TableError(
            f"{TRIALS}/{CONTRASTS}: its checksum is not the one in {SOURCE}; import the file again instead of"
            " editing it"
        )
    for name in ("outcome", "study", "treat1", "treat2", "rows"):
        contrasts[name] = contrasts[name].map(unprotected)
    return contrasts


def network_state(data: Dataset | Path | str | None = None) -> Printed | Trials:
    """Return the state of a data folder: with or without trial-level data.

    Parameters
    ----------
    data : Dataset, Path or str, optional
        The data folder; by default that of this checkout.
    """
    data = dataset(data)
    if data.trials is None:
        return Printed(data)
    return Trials(data, load_trials(data), load_source(data))


def book_state(data: Dataset | Path | str | None = None) -> Printed | Trials:
    """Return the state of the first outcome, which the chapters show: Printed if all trials are of other outcomes."""
    state = network_state(data)
    return state if isinstance(state, Trials) and len(outcome_contrasts(state)) else Printed(state.data)


def main_part(contrasts: pd.DataFrame, reference: str | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split contrasts into those of the connected part to analyse and the others, with ``reason``.

    Parameters
    ----------
    contrasts : DataFrame [study, treat1, treat2, te, se]
    reference : str, optional
        Treatment whose part is analysed, however small. Without it, or if no contrast names it, the part with most
        treatments is analysed.
    """
    parts = subnetworks(contrasts)
    chosen = next((part for part in parts if reference in part), parts[0])
    inside = np.array(
        [{treat1, treat2} <= chosen for treat1, treat2 in zip(contrasts["treat1"], contrasts["treat2"], strict=True)]
    )
    why = (
        "the largest part of the network"
        if chosen is parts[0]
        else f"the part of the network with the reference {reference}"
    )
    others = "; ".join(" and ".join(sorted(part)) for part in parts if part is not chosen)
    return contrasts[inside], contrasts[~inside].assign(reason=f"not connected with {why} ({others})")


def trial_network(
    contrasts: pd.DataFrame, *, tau2: str | float = "DL", level: float = 0.95, correlation: float = 0.0
) -> NetworkFit:
    """Fit trial-level contrasts as the article did.

    Parameters
    ----------
    contrasts : DataFrame [study, treat1, treat2, te, se]
        Contrasts of one outcome, all connected (see :func:`main_part`).
    tau2, level
        As in :func:`psps_paper.network.fit_network`.
    correlation : float
        Correlation between several estimates of one comparison from one study. By default they count as independent
        studies, as the degrees of freedom in the article show that it counted them.

    Raises
    ------
    ValueError
        As :func:`psps_paper.network.fit_network`.
    """
    pairs = {
        (study, frozenset(pair))
        for study, *pair in zip(contrasts["study"], contrasts["treat1"], contrasts["treat2"], strict=True)
    }
    repeats = correlation if len(pairs) < len(contrasts) else None
    return fit_network(contrasts.reset_index(drop=True), tau2=tau2, level=level, correlation=repeats)


def check_network(contrasts: pd.DataFrame, file: str, reference: str | None = None) -> list[str]:
    """Check that contrasts can be fitted, and return notes for the user, one sentence each.

    Parameters
    ----------
    contrasts : DataFrame [study, treat1, treat2, te, se]
    file : str
        File named in messages.
    reference : str, optional
        As in :func:`main_part`.

    Raises
    ------
    TableError
        The contrasts cannot be fitted, for example because a multi-arm study contradicts itself.
    """
    notes = []
    try:
        inside, outside = main_part(contrasts, reference)
        fit = trial_network(inside)
    except ValueError as error:
        raise TableError(f"{file}: {error}") from None
    if len(outside):
        fitted = f"the fit has {', '.join(fit.treatments)}"
        if reference not in fit.treatments:
            fitted += ", which are most treatments, since no contrast names the reference" + (
                f" {reference}" if reference else ""
            )
        studies = list(dict.fromkeys(outside["study"]))
        named = ", ".join(studies[:10]) + (f" and {len(studies) - 10} more" if len(studies) > 10 else "")
        notes.append(
            f"{len(outside)} of {len(contrasts)} contrasts are {outside['reason'].iloc[0]}; they ({named}) are kept,"
            f" and left out of the fit; {fitted}"
        )
    if fit.correlation is not None:
        pair = [frozenset(names) for names in zip(inside["treat1"], inside["treat2"], strict=True)]
        studies = ", ".join(sorted(set(inside.loc[inside.assign(pair=pair).duplicated(["study", "pair"]), "study"])))
        notes.append(
            f"several estimates of one comparison ({studies}); each counts as a study of its own, "
            "which makes intervals too narrow where the patients are the same"
        )
    return notes


@dataclass(frozen=True)
class MissingFromData:
    """Treatments and comparisons in the printed results that the trial-level contrasts do not contain.

    Attributes
    ----------
    known : frozenset of str
        All treatments of the printed results.
    treatments : list of str
        Treatments without a contrast.
    comparisons : list of (str, str)
        Printed direct comparisons without a contrast.
    """

    known: frozenset[str]
    treatments: list[str]
    comparisons: list[tuple[str, str]]


def missing_from_data(contrasts: pd.DataFrame, nma_published: pd.DataFrame) -> MissingFromData:
    """Compare the treatments and comparisons of contrasts with those of the table ``nma_published``."""
    printed = nma_published[["quantity", "treat1", "treat2"]].to_numpy(object)
    known = frozenset(name for _, *pair in printed for name in pair if isinstance(name, str))
    pairs = {frozenset(pair) for pair in zip(contrasts["treat1"], contrasts["treat2"], strict=True)}
    edges = [(treat1, treat2) for quantity, treat1, treat2 in printed if quantity == "n_estimates"]
    return MissingFromData(
        known, sorted(known - frozenset().union(*pairs)), [edge for edge in edges if frozenset(edge) not in pairs]
    )


def outcome_contrasts(state: Trials, outcome: str | None = None) -> pd.DataFrame:
    """Select the contrasts of one outcome; by default of the first in ``outcomes.csv``."""
    name = outcome or state.data.table("outcomes")["outcome"].iloc[0]
    return state.contrasts[state.contrasts["outcome"] == name].reset_index(drop=True)


def te_desirable(data: Dataset | Path | str | None = None, outcome: str | None = None) -> Desirable:
    """Return the desirable direction of te from ``outcomes.csv``; by default of its first outcome."""
    return load_outcome(data, outcome).te_desirable


def book_network(data: Dataset | Path | str | None = None, *, outcome: str | None = None) -> BookNetwork:
    """Return the network that chapters show: of the trials if present, else implied by the printed numbers.

    Parameters
    ----------
    data : Dataset, Path or str, optional
        The data folder; by default that of this checkout.
    outcome : str, optional
        Row of ``outcomes.csv`` with the settings of the fit; by default the first.

    Raises
    ------
    TableError
        There are neither trials nor printed numbers of the outcome.
    """
    data = dataset(data)
    state = network_state(data)
    settings = load_outcome(data, outcome)
    published = None
    if "nma_published" in data and settings == load_outcome(data):
        published = published_network(data.table("nma_published"), desirable=settings.te_desirable)
    if isinstance(state, Trials):
        contrasts = outcome_contrasts(state, outcome)
        if len(contrasts):
            inside, outside = main_part(contrasts, settings.reference)
            fit = trial_network(inside, tau2=settings.tau2, level=settings.level, correlation=settings.correlation)
            edges = trial_edges(inside, settings)
            return BookNetwork(
                state, fit, "recomputed", "recomputed", "recomputed", edges, outside, published, settings
            )
        state = Printed(data)
    if published is None:
        raise TableError(f"{data.folder}: neither trial-level data nor printed results of outcome {settings.outcome}")
    edges = published_edges(data.table("nma_published"))
    nothing = pd.DataFrame(columns=["study", "treat1", "treat2", "te", "se", "reason"])
    return BookNetwork(
        state,
        published.fit,
        "implied",
        "printed and implied",
        "recomputed and printed",
        edges,
        nothing,
        published,
        settings,
    )


def comparison_adjusted_egger(fit: NetworkFit, order: Sequence[str]) -> EggerTest | None:
    """Apply Egger's test to the comparison-adjusted funnel of a network of trials; None with too few estimates.

    Parameters
    ----------
    fit : NetworkFit
    order : sequence of str
        As in :func:`psps_paper.network.sensitivity.comparison_adjusted_funnel`: the test is whether small studies
        favour the treatment that comes first.

    Source: Egger 1997; Chaimani & Salanti 2012.  Checked against: :func:`psps_paper.pairwise.egger_test` applied
    to one comparison.
    """
    if fit.n_contrasts < ENOUGH_FOR_EGGER or fit.contrasts["se"].nunique() == 1:
        return None
    points = comparison_adjusted_funnel(fit, order)
    return egger_test(points["te_adjusted"], points["se"])


def trial_edges(contrasts: pd.DataFrame, outcome: Outcome) -> pd.DataFrame:
    """List direct comparisons with their numbers of estimates and studies.

    DataFrame [treat1, treat2, estimates, studies]. Comparisons are named in the order that the outcome declares; those
    with most estimates come first.
    """
    order = outcome.ordered(set(contrasts["treat1"]) | set(contrasts["treat2"]))
    rank = {name: k for k, name in enumerate(order)}
    groups = orient(contrasts, order).groupby(["treat1", "treat2"])["study"]
    edges = groups.agg(estimates="size", studies="nunique").reset_index()
    return edges.sort_values(
        ["estimates", "treat1", "treat2"],
        key=lambda column: -column if column.name == "estimates" else column.map(rank),
        ignore_index=True,
    )
