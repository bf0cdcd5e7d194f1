"""Network meta-analysis of rare events: Mantel-Haenszel, and the exact conditional likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Literal, get_args

import numpy as np
import pandas as pd

from psps_paper.effects.checks import LARGEST, choice, one_number
from psps_paper.network.conditional_likelihood import Arms, maximise
from psps_paper.network.heterogeneity import p_of_q
from psps_paper.network.model import differences, standard_errors
from psps_paper.network.reduction import connected_parts, joiner, one_spelling
from psps_paper.network.results import Result, as_text, pairs_frame, square, with_limits

BinaryMethod = Literal["MH", "NCH"]
METHOD_NAMES = {"MH": "Mantel-Haenszel", "NCH": "non-central hypergeometric likelihood"}
COLUMNS = ["study", "treatment", "events", "n"]
# The exact likelihood sums over all counts; with more people than this it takes too long
LARGEST_EXACT = 10_000_000
# Added to events and non-events by continuity="pooled"
INCREMENT = 0.5


@dataclass(frozen=True, eq=False)
class BinaryNetworkFit(Result):
    """Result of :func:`fit_binary_network`: log odds ratios of the common-effect model.

    Attributes
    ----------
    te_common, se_common, lower_common, upper_common, p_common : DataFrame [treatment x treatment]
        Log odds ratios, row against column, with standard errors, normal limits and p-values.
    te_direct, se_direct : DataFrame [treatment x treatment]
        By the same method from the two arms of the studies that compare both; NaN where there are none or the odds
        ratio is 0 or infinite.
    treatments : list of str
        The treatments that remain after the exclusions, sorted.
    method : {"MH", "NCH"}
    continuity : str or None
    q, df_q, p_q : float
        Inconsistency between designs, for "MH"; NaN for "NCH".
    log_likelihood : float
        At its maximum, for "NCH"; NaN for "MH".
    n_studies, n_arms, n_designs : int
        Numbers used in the fit; a design is the set of treatments that a study compares.
    level : float
    arms : DataFrame [study, treatment, events, n]
        The arms used in the fit, including the additions of ``continuity``.
    excluded : DataFrame [study, treatment, events, n, reason]
        Arms that were not used.
    """

    te_common: pd.DataFrame
    se_common: pd.DataFrame
    treatments: list[str]
    method: str
    continuity: str | None
    q: float
    df_q: float
    p_q: float
    log_likelihood: float
    n_studies: int
    n_arms: int
    n_designs: int
    level: float
    arms: pd.DataFrame
    excluded: pd.DataFrame

    def _of(self, name: str) -> pd.DataFrame:
        values = with_limits(self.te_common.to_numpy(), self.se_common.to_numpy(), self.level)
        return square(values[name], self.treatments)

    @cached_property
    def lower_common(self) -> pd.DataFrame:
        return self._of("lower")

    @cached_property
    def upper_common(self) -> pd.DataFrame:
        return self._of("upper")

    @cached_property
    def p_common(self) -> pd.DataFrame:
        return self._of("p")

    @cached_property
    def _direct(self) -> tuple[np.ndarray, np.ndarray]:
        study, treatment, events, n = (self.arms[name].to_numpy() for name in COLUMNS)
        designs = _designs(study, treatment, events, n, self.treatments)
        return _direct(designs, len(self.treatments), self.method)

    @property
    def te_direct(self) -> pd.DataFrame:
        return square(self._direct[0], self.treatments)

    @property
    def se_direct(self) -> pd.DataFrame:
        return square(self._direct[1], self.treatments)

    def to_frame(self) -> pd.DataFrame:
        """Return all pairs of treatments: treat1, treat2, te_common, ..., p_common, te_direct, se_direct."""
        names = ["te_common", "se_common", "lower_common", "upper_common", "p_common", "te_direct", "se_direct"]
        return pairs_frame(self.treatments, {name: getattr(self, name) for name in names})

    def summary(self) -> str:
        """Format the log odds ratios, the inconsistency and the exclusions as text."""
        lines = [
            (
                f"Network meta-analysis by {METHOD_NAMES[self.method]} of {self.n_studies} studies "
                f"({self.n_arms} arms, {self.n_designs} designs), log odds ratios, treat1 against treat2"
            ),
            "",
            self.to_frame().to_string(index=False, float_format=as_text),
            "",
        ]
        if self.method == "MH":
            lines.append(f"Inconsistency between designs: Q = {as_text(self.q)}, df {self.df_q}, p {as_text(self.p_q)}")
        else:
            lines.append(f"Log-likelihood {as_text(self.log_likelihood)}")
        lines += [f"Left out: study {row.study}, {row.treatment}: {row.reason}" for row in self.excluded.itertuples()]
        return "\n".join(lines)


def fit_binary_network(
    arms: pd.DataFrame, method: BinaryMethod = "MH", continuity: Literal["pooled"] | None = None, level: float = 0.95
) -> BinaryNetworkFit:
    """Fit a common-effect network meta-analysis of odds ratios to rare events.

    Parameters
    ----------
    arms : DataFrame [study, treatment, events, n]
        One row per arm; other columns are ignored.
    method : {"MH", "NCH"}
        "MH": within each design, the set of treatments that a study compares, Mantel-Haenszel log odds ratios of all
        pairs made consistent, with Greenland's covariance; then generalised least squares over the designs.
        "NCH": maximum likelihood with the exact distribution of each study's events given their sum (Fisher's
        non-central hypergeometric distribution, multivariate for three and more arms).
    continuity : {None, "pooled"}
        How to treat arms whose treatment has no events (or only events) in all studies of its design.
        None: exclude them. "pooled", for "MH" only: add 0.5 to events and non-events of all arms of that
        design.
    level : float
        Of all intervals.

    Returns
    -------
    BinaryNetworkFit
        ``excluded`` lists the arms without information, with the reason: those of studies with no events (or only
        events), those of treatments as above, and arms that these exclusions leave alone in their study.

    Raises
    ------
    TypeError
        ``arms`` is not a DataFrame.
    ValueError
        A column or label is missing; a treatment appears twice in a study; a count is not valid, or not whole under
        "NCH"; no study or no connected network is left; odds ratios are 0 or infinite (treatments are named);
        continuity is given with "NCH".

    Source: Efthimiou et al. 2019 (Stat Med 38:2992); Greenland 1989 (covariance of Mantel-Haenszel estimators of
    several groups); Robins, Breslow & Greenland 1986. Exact likelihood: Stijnen, Hamza & Ozdemir 2010.
    Checked against: netmeta 2.8-2 netmetabin(method = "MH"); for "NCH" our own maximisation in R, because netmeta
    maximises an approximation with replacement.

    Examples
    --------
    >>> rows = [("1", "A", 4, 50), ("1", "B", 9, 52), ("2", "B", 5, 58), ("2", "C", 3, 60), ("3", "A", 2, 40)]
    >>> arms = pd.DataFrame([*rows, ("3", "C", 3, 41)], columns=["study", "treatment", "events", "n"])
    >>> fits = fit_binary_network(arms), fit_binary_network(arms, "NCH")
    >>> [round(float(fit.te_common.at["A", "B"]), 3) for fit in fits]
    [-0.903, -0.894]
    """
    choice(method, "method", get_args(BinaryMethod))
    level = one_number(level, "level", "level")
    if continuity not in (None, "pooled"):
        raise ValueError(f"continuity={continuity!r}: expected None or 'pooled'")
    if continuity and method == "NCH":
        raise ValueError(
            "continuity='pooled': the exact likelihood of NCH needs whole counts; expected None, or method MH"
        )
    study, treatment, events, n = _read_arms(arms, whole=method == "NCH")
    events, n, reason = _informative(study, treatment, events, n, pooled=continuity is not None)
    kept = reason == ""
    used = (study[kept], treatment[kept], events[kept], n[kept])
    treatments = _treatments(*used[:2])
    designs = _designs(*used, treatments)
    q: float
    df: float
    if method == "MH":
        effects, covariance, q, df = _mantel_haenszel(designs, treatments)
        log_likelihood, p_q = np.nan, float(p_of_q(np.array(q), df))
        q = q if df else 0.0
    else:
        studies = [study for design in designs for study in design.studies()]
        effects, covariance, log_likelihood = maximise(studies, treatments)
        q, df, p_q = np.nan, np.nan, np.nan
    return BinaryNetworkFit(
        te_common=square(differences(effects), treatments),
        se_common=square(standard_errors(covariance), treatments),
        treatments=treatments,
        method=method,
        continuity=continuity,
        q=q,
        df_q=df,
        p_q=p_q,
        log_likelihood=log_likelihood,
        n_studies=len(set(used[0])),
        n_arms=len(used[0]),
        n_designs=len(designs),
        level=level,
        arms=pd.DataFrame(dict(zip(COLUMNS, used, strict=True))),
        excluded=pd.DataFrame(
            {
                name: x[~kept]
                for name, x in zip([*COLUMNS, "reason"], (study, treatment, events, n, reason), strict=True)
            }
        ),
    )


def _read_arms(arms: pd.DataFrame, *, whole: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Check the arms and return study, treatment, events and n, sorted by study and treatment."""
    if not isinstance(arms, pd.DataFrame):
        raise TypeError(f"arms: {type(arms).__name__} given; expected a DataFrame with columns {COLUMNS}")
    absent = [name for name in COLUMNS if list(arms.columns).count(name) != 1]
    if absent:
        raise ValueError(f"arms: column(s) {absent} missing or not unique; expected {COLUMNS}")
    if arms.empty:
        raise ValueError("arms: no rows")
    rows = arms.index.tolist()
    study, treatment = (_labels(arms, name) for name in COLUMNS[:2])
    events, n = (_counts(arms, name) for name in COLUMNS[2:])
    seen: set[tuple[str, str]] = set()
    for k, pair in enumerate(zip(study, treatment, strict=True)):
        if pair in seen:
            raise ValueError(
                f"arms, row {rows[k]}: study '{pair[0]}' has treatment '{pair[1]}' twice; expected one row"
            )
        seen.add(pair)
    most = LARGEST_EXACT if whole else LARGEST
    # Comparisons with a missing count are false.
    wrong = [
        ("events", events, (events < 0) | (events > most), f"is not a number from 0 to {most:g}"),
        ("n", n, (n < 1) | (n > most), f"is not a number from 1 to {most:g}"),
        ("events", events, events > n, "is more than its n"),
    ]
    if whole:
        why = "is not whole, which method NCH needs"
        wrong += [(name, x, ~np.isnan(x) & (x != np.floor(x)), why) for name, x in (("events", events), ("n", n))]
    for name, values, where, why in wrong:
        for k in map(int, np.flatnonzero(where)):
            raise ValueError(
                f"arms, row {rows[k]} (study '{study[k]}', {treatment[k]}), column {name}: {values[k]:g} {why}"
            )
    order = sorted(range(len(study)), key=lambda k: (study[k], treatment[k]))
    return np.array(study, object)[order], np.array(treatment, object)[order], events[order], n[order]


def _labels(arms: pd.DataFrame, name: str) -> list[str]:
    values = arms[name].tolist()
    for k, value in enumerate(values):
        if (not isinstance(value, str) and pd.isna(value)) or not str(value).strip():
            raise ValueError(f"arms, row {arms.index[k]}, column {name}: missing label")
    labels = [str(value) for value in values]
    one_spelling(name, labels, "arms")
    return labels


def _counts(arms: pd.DataFrame, name: str) -> np.ndarray:
    if arms[name].dtype.kind not in "iufO":
        raise ValueError(f"arms, column {name}: {arms[name].dtype} given; expected numbers")
    try:
        return arms[name].to_numpy(dtype=float, na_value=np.nan, copy=True)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"arms, column {name}: expected numbers ({error})") from error


def _informative(
    study: np.ndarray, treatment: np.ndarray, events: np.ndarray, n: np.ndarray, *, pooled: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return events and people, with the additions of ``pooled``, and the reason to exclude each arm, or "".

    Repeats until nothing changes: an exclusion can leave a study without events, or with a single arm.
    """
    study, treatment = (np.unique(names, return_inverse=True)[1] for names in (study, treatment))
    events, n = events.copy(), n.copy()
    reason = np.where(np.isnan(events) | np.isnan(n), "events or n missing", "").astype(object)
    while (reason == "").any():
        rows = np.flatnonzero(reason == "")
        alone = np.bincount(study[rows])[study[rows]] == 1
        none, all_ = _extremes(study[rows], events[rows], n[rows])
        reasons = {"the only arm of its study": alone, "no events in the study": none, "only events in the study": all_}
        if not (alone | none | all_).any():
            design = _design_of_rows(study[rows], treatment[rows])
            none, all_ = _extremes(design * len(study) + treatment[rows], events[rows], n[rows])
            reasons = {"no events in any study of its design": none, "only events in all studies of its design": all_}
            if pooled:
                extra = INCREMENT * np.isin(design, design[none | all_])
                events[rows] += extra
                n[rows] += 2 * extra
                break
            if not (none | all_).any():
                break
        for why, where in reasons.items():
            fresh = rows[where]
            reason[fresh[reason[fresh] == ""]] = why
    else:
        raise ValueError("arms: no study has two arms whose events give information on their odds ratio")
    return events, n, reason


def _extremes(group: np.ndarray, events: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which rows belong to a group with no events, and which to a group with only events."""
    code = np.unique(group, return_inverse=True)[1]
    total, people = np.bincount(code, events), np.bincount(code, n)
    return (total == 0)[code], (total == people)[code]


def _design_of_rows(study: np.ndarray, treatment: np.ndarray) -> np.ndarray:
    """Number the design, the set of treatments, of each row's study."""
    sets: dict[int, set[int]] = {}
    for one, arm in zip(study.tolist(), treatment.tolist(), strict=True):
        sets.setdefault(one, set()).add(arm)
    numbers: dict[frozenset[int], int] = {}
    return np.array([numbers.setdefault(frozenset(sets[one]), len(numbers)) for one in study.tolist()])


def _treatments(study: np.ndarray, treatment: np.ndarray) -> list[str]:
    """List the treatments, sorted, after checking that the studies connect them."""
    some_arm = dict(zip(study, treatment, strict=True))
    parts = connected_parts([some_arm[one] for one in study], treatment.tolist())
    if len(parts) > 1:
        raise ValueError(
            f"arms: the network left after exclusions is not connected; it has {len(parts)} parts: "
            + "; ".join(str(sorted(part)) for part in parts)
        )
    return sorted(parts[0])


@dataclass(frozen=True, eq=False)
class _Design:
    """Studies that compare the same treatments: events and non-events [study x arm]."""

    arms: np.ndarray
    events: np.ndarray
    others: np.ndarray

    def studies(self) -> list[Arms]:
        return [
            Arms(self.arms, x.astype(int), (x + y).astype(int)) for x, y in zip(self.events, self.others, strict=True)
        ]

    def pair(self, x: int, y: int) -> _Design:
        both = [x, y]
        return _Design(self.arms[both], self.events[:, both], self.others[:, both])


def _designs(
    study: np.ndarray, treatment: np.ndarray, events: np.ndarray, n: np.ndarray, treatments: list[str]
) -> list[_Design]:
    """Group arms, sorted by study and treatment, into designs."""
    position = {name: k for k, name in enumerate(treatments)}
    studies: dict[str, list[int]] = {}
    for k, one in enumerate(study):
        studies.setdefault(one, []).append(k)
    found: dict[tuple[int, ...], list[np.ndarray]] = {}
    for rows in studies.values():
        counts = np.stack([events[rows], n[rows]], axis=1)
        found.setdefault(tuple(position[treatment[k]] for k in rows), []).append(counts)
    designs = []
    for arms in sorted(found):
        events, size = np.moveaxis(np.array(found[arms]), -1, 0)
        designs.append(_Design(np.array(arms), events, size - events))
    return designs


def _mantel_haenszel(designs: list[_Design], treatments: list[str]) -> tuple[np.ndarray, np.ndarray, float, int]:
    """Compute effects against the first treatment, their covariance, Q between designs and its degrees of freedom."""
    n = len(treatments)
    information, weighted = np.zeros((n, n)), np.zeros(n)
    parts = []
    for design in designs:
        names = [treatments[k] for k in design.arms]
        total = (design.events + design.others).sum(axis=1)
        log_or, covariance = _design_estimates(
            design.events, design.others, total, joiner(treatments).join(names), names
        )
        basis = np.eye(len(names))[1:] - np.eye(len(names))[0]
        weight = basis.T @ np.linalg.solve(basis @ covariance @ basis.T, basis)
        information[np.ix_(design.arms, design.arms)] += weight
        weighted[design.arms] += weight @ log_or
        parts.append((design.arms, weight, log_or))
    covariance = np.zeros((n, n))
    covariance[1:, 1:] = np.linalg.inv(information[1:, 1:])
    effects = covariance @ weighted
    # The rows of a design's weights sum to 0, so its arbitrary constant cancels.
    residuals = ((log_or - effects[arms], weight) for arms, weight, log_or in parts)
    q = sum(float(residual @ weight @ residual) for residual, weight in residuals)
    return effects, covariance, q, sum(len(arms) - 1 for arms, _, _ in parts) - (n - 1)


def _design_estimates(
    events: np.ndarray, others: np.ndarray, total: np.ndarray, name: str, arms: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate consistent log odds for the arms of one design, up to a constant, and their covariance.

    With L_xy the Mantel-Haenszel log odds ratio of x against y, the mean of L_x. over all arms is the log odds of x.

    Source: Greenland 1989.
    """
    products = np.einsum("kx,ky,k->xy", events, others, 1 / total)
    np.fill_diagonal(products, 1.0)
    for x, y in np.argwhere(products <= 0):
        raise ValueError(
            f"design {name}: the Mantel-Haenszel odds ratio of {arms[x]} against {arms[y]} is 0, since no study has "
            f"events under {arms[x]} together with non-events under {arms[y]}; expected some, or method NCH"
        )
    size, log_or = len(arms), np.log(products / products.T).sum(axis=1)
    variance = _variances(events, others, total, products)
    if size == 2:
        return log_or / 2, variance[0, 1] * np.array([[1, -1], [-1, 1]]) / 4
    within = _covariances(events, others, total, products)
    same = np.arange(size)
    within[:, same, same] = variance
    within[same, same, :] = within[same, :, same] = 0.0
    # Covariance of sums over y of L_xy: pairs of estimates share x, share y, or are x against w and w against x.
    shared = within.sum(axis=2).T
    covariance = variance - shared - shared.T + within.sum(axis=0)
    covariance[np.diag_indices(size)] = within.sum(axis=(1, 2))
    if np.linalg.eigvalsh(covariance)[1] <= 0:
        raise ValueError(
            f"design {name}: the Mantel-Haenszel estimates have no positive definite covariance; expected more events,"
            " or method NCH"
        )
    return log_or / size, covariance / size**2


def _variances(events: np.ndarray, others: np.ndarray, total: np.ndarray, products: np.ndarray) -> np.ndarray:
    """Compute the variance of L_xy [x, y]; the diagonal has no meaning.

    Source: Robins, Breslow & Greenland 1986.
    """
    up = 1 / products
    table = up * events[:, :, None] * others[:, None, :] / total[:, None, None]
    weight = up * (events[:, :, None] + others[:, None, :]) / total[:, None, None]
    # With R, S the terms for events under x and under y, and P, Q their weights: (R + S) (P + Q) / 2
    return ((table + table.swapaxes(1, 2)) * (weight + weight.swapaxes(1, 2))).sum(axis=0) / 2


def _covariances(events: np.ndarray, others: np.ndarray, total: np.ndarray, products: np.ndarray) -> np.ndarray:
    """Compute the covariance of L_xy and L_xz for three different arms [x, y, z].

    Source: Greenland 1989.
    """

    def moment(*three: np.ndarray) -> np.ndarray:
        return np.einsum("kx,ky,kz,k->xyz", *three, total**-2.0)

    a, d = events, others
    up, down = 1 / products, 1 / products.T
    mixed = moment(a, a, d) * down[:, :, None] * up[:, None, :] + moment(d, d, a) * up[:, :, None] * down[:, None, :]
    found = moment(a, d, d) * up[:, :, None] * up[:, None, :] + moment(d, a, a) * down[:, :, None] * down[:, None, :]
    return (found + mixed + mixed.swapaxes(1, 2)) / 3


def _direct(designs: list[_Design], n: int, method: str) -> tuple[np.ndarray, np.ndarray]:
    """Compute direct log odds ratios and standard errors; NaN where there are none or they are 0 or infinite."""
    te, se = np.full((n, n), np.nan), np.full((n, n), np.nan)
    np.fill_diagonal(te, 0.0)
    np.fill_diagonal(se, 0.0)
    pairs: dict[tuple[int, int], list[_Design]] = {}
    for design in designs:
        for x, y in combinations(range(len(design.arms)), 2):
            pairs.setdefault((int(design.arms[x]), int(design.arms[y])), []).append(design.pair(x, y))
    for (x, y), parts in pairs.items():
        events, others = (np.concatenate([getattr(part, name) for part in parts]) for name in ("events", "others"))
        try:
            if method == "MH":
                log_or, covariance = _design_estimates(events, others, (events + others).sum(axis=1), "", ["", ""])
            else:
                some = (events.sum(axis=1) > 0) & (others.sum(axis=1) > 0)
                both = _Design(np.array([0, 1]), events[some], others[some])
                log_or, covariance, _ = maximise(both.studies(), ["", ""])
        except ValueError:
            continue
        te[x, y], se[x, y] = differences(log_or)[0, 1], standard_errors(covariance)[0, 1]
        te[y, x], se[y, x] = -te[x, y], se[x, y]
    return te, se
