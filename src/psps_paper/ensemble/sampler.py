"""Ensembles of trial-level estimates that agree with everything printed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from psps_paper.ensemble.compatibility import assumptions_of
from psps_paper.ensemble.model import MOST_SHARED, SPREAD_SHARE, TE_LIMIT, Assumptions, Evidence, published_evidence
from psps_paper.ensemble.projection import draw_members
from psps_paper.tables.load import data_folder, load_table

CHAINS = 2
_DRAWS = 128  # from the prior, in one task
_GENERATIONS = 15
# A feasible combination is sampled if at least this share of the map's draws from the prior could be brought to agree.
RARE = 0.05


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Members that agree with the print; B members, m estimates, S studies.

    Attributes
    ----------
    evidence : Evidence
    te, se : ndarray [B x m]
        Estimates (hub minus other treatment, SMD) and standard errors; columns follow ``evidence.estimates``.
    study : ndarray of int [B x m]
        Row of ``evidence.studies`` behind each estimate.
    n : ndarray [B x S]
        Patients behind one estimate of each study.
    tau2 : ndarray [B]
    members : DataFrame
        One row a member: ``convention, correlation, tau2_method, chain``.
    sampling : DataFrame
        One row for each chain under each combination: ``drawn`` from the prior, ``accepted`` and their share.
    """

    evidence: Evidence
    te: np.ndarray
    se: np.ndarray
    study: np.ndarray
    n: np.ndarray
    tau2: np.ndarray
    members: pd.DataFrame
    sampling: pd.DataFrame

    def __len__(self) -> int:
        return len(self.te)

    def contrasts(self, member: int) -> pd.DataFrame:
        """Rows [study, treat1, treat2, te, se] of one member, ready for ``fit_network(correlation=...)``."""
        rows = self.evidence.contrasts(self.study[member])
        return rows.assign(te=self.te[member], se=self.se[member])

    def design(self) -> pd.DataFrame:
        """Rows [study, treat1, treat2] shared by all members when each estimate counts as a study of its own."""
        rows = self.evidence.contrasts(self.study[0])
        return rows.assign(study=[f"estimate {k + 1}" for k in range(len(rows))])


def feasible_assumptions() -> list[Assumptions]:
    """The combinations that the stored compatibility map found feasible, but for the rare ones.

    Left out are those of :func:`dropped_assumptions`.
    """
    return assumptions_of(load_table("compatibility").query("feasible == 'yes' and share >= @RARE"))


def dropped_assumptions() -> list[Assumptions]:
    """The combinations that are feasible in the stored map, but too rare for the ensemble.

    Of their draws from the prior a share below :data:`RARE` could be brought to agree, or none, and only a directed
    search found a set that does.
    """
    return assumptions_of(load_table("compatibility").query("feasible == 'yes' and share < @RARE"))


def sample_ensemble(
    size: int = 2000,
    *,
    evidence: Evidence | None = None,
    assumptions: Sequence[Assumptions] | None = None,
    seed: int = 20250305,
    n_jobs: int = 1,
    backend: str = "loky",
    verbose: int = 0,
) -> Ensemble:
    """Sample trial-level sets that agree with every printed aggregate within rounding.

    Priors are those of :func:`priors`; each combination of assumptions is drawn equally often. Every draw gets its own
    point of the printed region, uniform within rounding, and is moved to it by the shortest steps in units of the
    prior's standard deviations (randomise, then optimise); a draw that cannot get there is rejected. Members are therefore independent, and combinations
    count by the share of draws that could be brought to agree. The method is exact for linear constraints; here
    the change of volume under the move is left out, so the prior is kept approximately.

    Parameters
    ----------
    size : int
        Members, the same number from each of two chains. A chain is a stream of draws of its own.
    evidence : Evidence, optional
        By default that of the article.
    assumptions : sequence of Assumptions, optional
        By default those of :func:`feasible_assumptions`.
    seed : int
        Each task has its own stream (SeedSequence), so numbers do not depend on backend or workers.
    n_jobs : int
    backend : {"loky", "threading", "dask"}
        "dask" uses the current distributed Client (extra ``cluster``).
    verbose : int
        joblib's progress.

    Returns
    -------
    Ensemble

    Raises
    ------
    ValueError
        If size is odd or not positive, or no draw under any combination could be brought to agree.

    Source: Bardsley, Solonen, Haario & Laine 2014, SIAM J Sci Comput 36:A1895 (randomise-then-optimise).
    Checked against: refits of all members by ``fit_network``.
    """
    if size < CHAINS or size % CHAINS:
        raise ValueError(f"size={size}: expected a positive multiple of {CHAINS}")
    evidence = published_evidence() if evidence is None else evidence
    assumptions = feasible_assumptions() if assumptions is None else list(assumptions)
    kinds = [(a, chain) for a in assumptions for chain in range(CHAINS)]
    found: list[list[dict]] = [[] for _ in kinds]
    from joblib import Parallel, delayed, parallel_config  # slow to load

    with parallel_config(backend=backend, n_jobs=n_jobs):
        for turn in range(200):
            streams = [np.random.SeedSequence([seed, turn, k]) for k in range(len(kinds))]
            parts = Parallel(verbose=verbose)(
                delayed(_draw)(evidence, a, stream) for (a, _), stream in zip(kinds, streams, strict=True)
            )
            for column, part in zip(found, parts, strict=True):
                column.append(part)
            counts = [
                sum(len(part["te"]) for (_, c), column in zip(kinds, found, strict=True) if c == chain for part in column)
                for chain in range(CHAINS)
            ]
            if min(counts) >= size // CHAINS:
                break
            if turn == 4 and not any(counts):
                raise ValueError("no draw under any combination of assumptions could be brought to agree with the print")
    labels, sampling = [], []
    for (a, chain), column in zip(kinds, found, strict=True):
        label = {"convention": a.convention, "correlation": a.correlation, "tau2_method": a.tau2, "chain": chain}
        accepted = sum(len(part["te"]) for part in column)
        labels += [label] * accepted
        drawn = _DRAWS * len(column)
        sampling.append(label | {"drawn": drawn, "accepted": accepted, "share": accepted / drawn})
    names = ("te", "se", "study", "n", "tau2")
    joined = {name: np.concatenate([part[name] for column in found for part in column]) for name in names}
    members = pd.DataFrame(labels)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0, len(kinds)]))
    keep = np.sort(
        np.concatenate(
            [rng.permutation(np.flatnonzero(members["chain"] == chain))[: size // CHAINS] for chain in range(CHAINS)]
        )
    )
    return Ensemble(
        evidence=evidence,
        **{name: values[keep] for name, values in joined.items()},
        members=members.iloc[keep].reset_index(drop=True),
        sampling=pd.DataFrame(sampling),
    )


def _draw(evidence: Evidence, assumptions: Assumptions, stream: np.random.SeedSequence) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(stream)
    model, z, agrees = draw_members(evidence, assumptions, size=_DRAWS, generations=_GENERATIONS, rng=rng)
    rows = np.flatnonzero(agrees)
    model, z = model.subset(rows), z[rows]
    te, v, n = model.trials(z)
    return {"te": te, "se": np.sqrt(v), "study": model.study, "n": n, "tau2": model.tau2(z)}


def priors() -> pd.DataFrame:
    """What is free in a draw and how it is drawn, in words for readers: ``quantity, drawn``."""
    low, high = SPREAD_SHARE
    rows = {
        "estimates of each study": "printed totals kept; what is left after one a study is spread at random over the places that its arms give",
        "sample size of a study": "uniform over the range that public pages leave; a single value where it is known",
        "sampling variance": "from sample size and effect, by the convention of the combination of assumptions",
        "spread of true effects": f"normal; variance uniform from {low:g} to {high:g} of the most that the printed standard errors allow",
        "what estimates of one study share": f"share of their deviation uniform from 0 to {MOST_SHARED:g}",
        "size of an estimate": f"no SMD beyond {TE_LIMIT:g} either way",
        "pooled contrasts and their standard errors": "uniform over the region that the printed, rounded values leave",
        "Q": "uniform over the values that print as the given I2 and interval",
        "Egger's t": "uniform over the values that print as the given p, of either sign",
        "combination of assumptions": "each equally often; it counts by the share of draws that could be brought to agree",
    }
    return pd.DataFrame(rows.items(), columns=["quantity", "drawn"])


def summaries(ensemble: Ensemble) -> pd.DataFrame:
    """Quantities of each member that the print does not fix, by which chains are compared [B x 7]."""
    te, variance, at = ensemble.te, ensemble.se**2, ensemble.evidence.estimates
    centred = te - np.column_stack([te[:, at == k].mean(axis=1) for k in np.unique(at)])[:, at]
    counts = np.apply_along_axis(np.bincount, 1, ensemble.study, minlength=len(ensemble.evidence.studies))
    return pd.DataFrame(
        {
            "tau2": ensemble.tau2,
            "median_se": np.median(ensemble.se, axis=1),
            "largest_te": te.max(axis=1),
            "smallest_te": te.min(axis=1),
            "median_deviation": np.median(np.abs(centred), axis=1),
            "largest_weight": (1 / variance).max(axis=1) / (1 / variance).sum(axis=1),
            "most_estimates_of_a_study": counts.max(axis=1).astype(float),
        }
    )


def _effective_size(values: pd.Series, members: pd.DataFrame) -> float:
    streams = [members[name] for name in ("chain", "convention", "correlation", "tau2_method")]
    centred = values - values.groupby(streams, dropna=False).transform("mean")
    neighbour = centred.groupby(streams, dropna=False).shift()
    r = float((centred * neighbour).sum() / (centred**2).sum()) if centred.any() else 0.0
    return len(values) * min(1.0, (1 - r) / (1 + r))


def convergence(ensemble: Ensemble, quantities: pd.DataFrame | None = None) -> pd.DataFrame:
    """Do two streams of independent draws agree?  One row a quantity.

    Members are drawn independently of each other, not by a walk, so that every member should count in full; the
    correlation between neighbours in a stream shows whether it does.

    Returns
    -------
    pandas.DataFrame
        Index: the quantity. ``mean_0, error_0, mean_1, error_1`` (mean of each chain and its Monte-Carlo error; members are
        independent), ``distance`` (of the means, over its error) and ``effective_size`` (members that count in full, by
        the correlation r of neighbours in a stream: B (1 - r) / (1 + r), at most B).
    """
    values = summaries(ensemble) if quantities is None else quantities
    rows = {}
    for name in values.columns:
        parts = [values.loc[ensemble.members["chain"] == chain, name].to_numpy(float) for chain in range(CHAINS)]
        means = [part.mean() for part in parts]
        errors = [part.std(ddof=1) / np.sqrt(len(part)) for part in parts]
        distance = (means[0] - means[1]) / np.hypot(*errors) if any(errors) else 0.0
        rows[name] = {
            "mean_0": means[0], "error_0": errors[0], "mean_1": means[1], "error_1": errors[1],
            "distance": distance, "effective_size": _effective_size(values[name], ensemble.members),
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("quantity")


def save_ensemble(ensemble: Ensemble, path: Path) -> None:
    """Store an ensemble compactly; :func:`load_ensemble` needs the same evidence again."""
    np.savez_compressed(
        path,
        te=ensemble.te,
        se=ensemble.se,
        study=ensemble.study.astype(np.uint8),
        n=ensemble.n.astype(np.float32),
        tau2=ensemble.tau2,
        members=ensemble.members.to_json(orient="records"),
        sampling=ensemble.sampling.to_json(orient="records"),
        studies=ensemble.evidence.studies["study"].to_numpy(str),
    )


def load_ensemble(path: Path | None = None, evidence: Evidence | None = None) -> Ensemble:
    """The stored ensemble of ``data/ensemble.npz``, made by ``sample_ensemble()`` with its defaults.

    Raises ValueError if the stored studies are not those of the evidence.
    """
    evidence = published_evidence() if evidence is None else evidence
    path = data_folder() / "ensemble.npz" if path is None else path
    with np.load(path) as stored:
        if list(stored["studies"]) != list(evidence.studies["study"]):
            raise ValueError(f"{path.name}: studies {list(stored['studies'])} are not those of the evidence; sample it again")
        return Ensemble(
            evidence=evidence,
            te=stored["te"], se=stored["se"], study=stored["study"].astype(int), n=stored["n"], tau2=stored["tau2"],
            members=pd.read_json(io.StringIO(str(stored["members"])), orient="records"),
            sampling=pd.read_json(io.StringIO(str(stored["sampling"])), orient="records"),
        )  # fmt: skip


def assumption_labels(members: pd.DataFrame) -> pd.Series:
    """One text for each member's combination of assumptions."""
    paired = members["convention"] == "paired"
    text = members["convention"].where(~paired, "paired, r = " + members["correlation"].map("{:g}".format))
    return text + ", " + members["tau2_method"]
