"""Reduction of contrasts to independent rows.

With one tau2 and correlation 1/2 between the contrasts of a multi-arm study, the covariance of a
study's contrasts is ``V + tau2 * R`` with known V and R. Written in a basis where R is the
identity and V is diagonal, a study with a arms becomes a - 1 independent rows of variance
``d + tau2``. The likelihood, Q and every estimate are unchanged, no arm serves as baseline,
and everything else is weighted least squares with diagonal weights.

Source: the model of Higgins & Whitehead 1996 and Rücker & Schwarzer 2014 (multi-arm weights),
in the generalised least squares form of Franchini et al. 2012; the change of basis is ours.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import chain, combinations
from operator import eq

import numpy as np
import pandas as pd

from psps_paper.effects.checks import LARGEST, LARGEST_RATIO, SMALLEST

COLUMNS = ["study", "treat1", "treat2", "te", "se"]
# The three contrasts of a closed loop of a multi-arm study may disagree by this proportion of its
# smallest standard error, or by the gap that rounding of its estimates explains (half a unit each)
# up to the second proportion. A larger gap is a contradiction.
LOOP_SHARE, ROUNDED_SHARE = 0.15, 0.5
MOST_DECIMALS = 8
# A gap or a negative variance below this proportion is floating-point rounding.
NOTEWORTHY = 1e-6
PRECISION = (
    f"expected te between -{LARGEST:g} and {LARGEST:g} and se between {SMALLEST:g} and "
    f"{LARGEST:g}, whose powers fit into double precision; use another unit"
)


@dataclass(frozen=True, eq=False)
class StudyGroup:
    """Studies of one kind, with their rows of the table in canonical order and sign.

    ``rows`` and ``sign`` have shape [study x row of the study]; ``arms`` holds the positions of
    the treatments [study x arm], and ``studies`` the positions of the studies.
    """

    rows: np.ndarray
    sign: np.ndarray
    arms: np.ndarray
    studies: np.ndarray


@dataclass(frozen=True, eq=False)
class Design:
    """The structure shared by data sets with the same labels."""

    treatments: list[str]
    studies: list[str]
    treat1: np.ndarray
    treat2: np.ndarray
    study: np.ndarray
    single: np.ndarray  # rows of studies with one contrast
    multi_arm: tuple[StudyGroup, ...]  # one group for each number of arms
    repeated: tuple[StudyGroup, ...]  # one group for each number of estimates of one comparison

    @cached_property
    def x_single(self) -> np.ndarray:
        """Rows of x for the studies with one contrast [N x n]."""
        rows = self.single
        x = np.zeros((rows.size, len(self.treatments)))
        each = np.arange(rows.size)
        x[each, self.treat1[rows]] = 1.0
        x[each, self.treat2[rows]] = -1.0
        return x

    @property
    def n_rows(self) -> int:
        """Number of independent rows, the sum over studies of arms minus 1 (or estimates)."""
        return (
            self.single.size
            + sum(g.arms.size - len(g.arms) for g in self.multi_arm)
            + sum(g.rows.size for g in self.repeated)
        )


@dataclass(frozen=True, eq=False)
class Reduced:
    """Independent rows of B data sets: ``y ~ N(x @ effects, d + tau2)``.

    Attributes
    ----------
    y, d : ndarray [B x N]
    x : ndarray [N x n] or [B x N x n]
        Columns are treatments; every row sums to zero.
    study : ndarray [N]
        Position of each row's study.
    log_jacobian : ndarray [B]
        Subtract it from the log-likelihood of the rows to get that of the contrasts with the
        first arm as baseline.
    """

    y: np.ndarray
    d: np.ndarray
    x: np.ndarray
    study: np.ndarray
    log_jacobian: np.ndarray


def read_contrasts(
    contrasts: pd.DataFrame,
) -> tuple[list[str], list[str], list[str], np.ndarray, np.ndarray]:
    """Check columns and labels; return study, treat1, treat2, te and se.

    Raises
    ------
    TypeError
        ``contrasts`` is not a DataFrame.
    ValueError
        A column or label is missing, a column appears twice, two labels differ only in spaces or
        in how accents are encoded, te or se is not a real number, se <= 0, a value is infinite or
        too large or small for double precision, or a treatment is compared with itself; the row is
        named.
    """
    check_table(contrasts)
    columns = contrasts.columns
    absent = [name for name in COLUMNS if name not in columns]
    if absent:
        raise ValueError(f"contrasts: column(s) {absent} missing; expected {COLUMNS}")
    if not columns.is_unique:
        twice = [name for name in COLUMNS if list(columns).count(name) > 1]
        if twice:
            raise ValueError(f"contrasts: column(s) {twice} appear more than once; expected one of each")
    study, treat1, treat2 = (_labels(contrasts, name) for name in COLUMNS[:3])
    one_spelling("study", study)
    one_spelling("treatment", treat1 + treat2)
    te, se = (_numbers(contrasts, name) for name in COLUMNS[3:])
    # Test all rows at once, which nearly every table passes, before searching for the faulty row.
    if not (np.abs(te) <= LARGEST).all() or not ((se >= SMALLEST) & (se <= LARGEST)).all():
        _check_numbers(contrasts, study, te, se)
    if len(set(treat1) | set(treat2)) == 1:
        raise ValueError(
            f"contrasts: the only treatment is '{treat1[0]}', compared with itself in all "
            f"{len(treat1)} rows; a network needs at least two treatments"
        )
    if any(map(eq, treat1, treat2)):
        row = list(map(eq, treat1, treat2)).index(True)
        raise ValueError(f"{_place(contrasts, row)} (study '{study[row]}'): '{treat1[row]}' is compared with itself")
    return study, treat1, treat2, te, se


def _check_numbers(contrasts: pd.DataFrame, study: list[str], te: np.ndarray, se: np.ndarray) -> None:
    """Raise a ValueError for the first te or se that is infinite, not positive or beyond double precision."""
    for row in np.flatnonzero(np.isinf(te) | np.isinf(se) | (se <= 0)):
        raise ValueError(
            f"{_place(contrasts, row)}: te={te[row]}, se={se[row]} "
            f"(study '{study[row]}'); expected a finite te and a finite se > 0"
        )
    for row in np.flatnonzero(beyond_precision(te, se)):
        raise ValueError(f"{_place(contrasts, row)}: te={te[row]}, se={se[row]} (study '{study[row]}'): {PRECISION}")


def beyond_precision(te: np.ndarray, se: np.ndarray) -> np.ndarray:
    """Return where powers of te or se would overflow or underflow; False where one is missing."""
    return (np.abs(te) > LARGEST) | (se > LARGEST) | (se < SMALLEST)


def check_ratio(se: np.ndarray) -> None:
    """Raise a ValueError if the standard errors of a data set [B x m] are too unequal."""
    if se.max() <= LARGEST_RATIO * se.min():
        return
    smallest, largest = se.min(axis=1), se.max(axis=1)
    for k in np.flatnonzero(largest > LARGEST_RATIO * smallest):
        where = f" (data set {k})" if len(se) > 1 else ""
        raise ValueError(
            f"contrasts{where}: se from {smallest[k]:g} to {largest[k]:g}; expected the largest to be "
            f"at most {LARGEST_RATIO:g} times the smallest, because double precision cannot hold the weights"
        )


def check_table(contrasts: object) -> None:
    """Raise a TypeError unless it is a DataFrame."""
    if not isinstance(contrasts, pd.DataFrame):
        raise TypeError(f"contrasts: {type(contrasts).__name__} given; expected a DataFrame with columns {COLUMNS}")


def real_numbers(values: object, message: str) -> np.ndarray:
    """Convert to an array of floats; raise a ValueError with ``message`` for text, complex numbers and the like."""
    array = np.asarray(values)
    try:
        if array.dtype.kind in "iufO":
            return array.astype(float)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(message)


def _labels(contrasts: pd.DataFrame, name: str) -> list[str]:
    values = contrasts[name].tolist()
    if set(map(type, values)) == {str}:
        if all(map(str.strip, set(values))):
            return values
        missing = [False] * len(values)
        labels = values
    else:
        missing = pd.isna(np.array(values, object)).tolist()
        labels = [str(value) for value in values]
    if any(missing) or not all(map(str.strip, set(labels))):
        row = next(k for k, label in enumerate(labels) if missing[k] or not label.strip())
        raise ValueError(f"{_place(contrasts, row)}, column {name}: missing label")
    return labels


def one_spelling(what: str, labels: list[str], source: str = "contrasts") -> None:
    """Refuse labels that look alike, which would silently count as two studies or treatments."""
    spelling: dict[str, str] = {}
    different = set(labels)
    if all(map(str.isascii, different)) and len({" ".join(label.split()) for label in different}) == len(different):
        return
    for label in different:
        composed = label if label.isascii() else unicodedata.normalize("NFC", label)
        plain = " ".join(composed.split())
        other = spelling.setdefault(plain, label)
        if other != label:
            other, label = sorted([other, label], key=labels.index)
            # Escaped, because the difference is invisible.
            raise ValueError(
                f"{source}: {what} labels {other!a} and {label!a} differ only in spaces "
                "or in how accents are encoded; expected one spelling"
            )


def _numbers(contrasts: pd.DataFrame, name: str) -> np.ndarray:
    column = contrasts[name]
    if column.dtype == float:
        return column.to_numpy()
    if column.dtype.kind not in "iufO":
        raise ValueError(f"contrasts, column {name}: {column.dtype} given; expected real numbers")
    try:
        return column.to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"contrasts, column {name}: expected numbers ({error})") from error


def _place(contrasts: pd.DataFrame, row: int | np.integer) -> str:
    return f"contrasts, row {contrasts.index[int(row)]}"


def connected_parts(treat1: Sequence[str], treat2: Sequence[str]) -> list[set[str]]:
    """Find the sets of treatments that comparisons connect, the largest first."""
    parts: dict[str, set[str]] = {}
    for first, second in set(zip(treat1, treat2, strict=True)):
        one, other = parts.get(first, {first}), parts.get(second, {second})
        if one is not other or first not in parts:
            if len(one) < len(other):
                one, other = other, one
            one |= other
            for name in other:
                parts[name] = one
            for name in (first, second):
                parts[name] = one
    found = {id(part): part for part in parts.values()}
    return sorted(found.values(), key=lambda part: (-len(part), min(part)))


def _connected(n: int, first: list[int], second: list[int]) -> bool:
    """Return whether comparisons of these positions connect n treatments, stopping as soon as they do."""
    root = list(range(n))
    apart = n - 1
    for one, other in zip(first, second, strict=True):
        while root[one] != one:
            one = root[one] = root[root[one]]
        while root[other] != other:
            other = root[other] = root[root[other]]
        if one != other:
            root[one] = other
            apart -= 1
            if not apart:
                return True
    return not apart


def joiner(treatments: list[str]) -> str:
    """Choose the sign that joins treatments in names of comparisons and designs: ":" unless a treatment contains it.

    A character that occurs in no treatment's name keeps the names of different comparisons distinct.
    """
    used = set("".join(treatments))
    return next(sign for sign in chain(":|~;", map(chr, range(0x2192, 0x10000))) if sign not in used)


def pair_names(treatments: list[str], first: np.ndarray, second: np.ndarray) -> list[str]:
    """Name pairs, given by positions, as "A:B"."""
    sign = joiner(treatments)
    return [f"{treatments[i]}{sign}{treatments[j]}" for i, j in zip(first, second, strict=True)]


def make_design(
    study: Sequence[str], treat1: Sequence[str], treat2: Sequence[str], *, repeats: bool, connected: bool = True
) -> Design:
    """Sort studies by kind and check that they form one network.

    Parameters
    ----------
    repeats : bool
        Whether a study may have several estimates of one comparison.
    connected : bool
        Whether a network in several parts is an error.

    Raises
    ------
    ValueError
        Fewer than two treatments, a study with missing or repeated contrasts, or a disconnected
        network; the message names the study or the parts.
    """
    treatments = sorted(set(treat1) | set(treat2))
    if len(treatments) < 2:
        raise ValueError(f"contrasts: treatments {treatments}; a network needs at least two")
    position = {name: k for k, name in enumerate(treatments)}
    i = np.array([position[name] for name in treat1])
    j = np.array([position[name] for name in treat2])
    studies = sorted(set(study))
    number = {name: k for k, name in enumerate(studies)}
    code = np.array([number[name] for name in study])
    if connected and not _connected(len(treatments), i.tolist(), j.tolist()):
        parts = connected_parts(treat1, treat2)
        raise ValueError(
            f"contrasts: the network is not connected; it has {len(parts)} parts: "
            + "; ".join(str(sorted(part)) for part in parts)
        )
    single = np.arange(len(study))
    multi_arm: dict[int, list] = {}
    repeated: dict[int, list] = {}
    if len(studies) < len(study):
        count = np.bincount(code)
        single = np.flatnonzero(count[code] == 1)
        rows_of: dict[str, list[int]] = {}
        for row, name in enumerate(study):
            rows_of.setdefault(name, []).append(row)
        for k in np.flatnonzero(count > 1).tolist():
            name = studies[k]
            arms, canonical = _study_rows(name, rows_of[name], i, j, treatments, repeats=repeats)
            kind = repeated if len(arms) == 2 else multi_arm
            size = len(canonical) if len(arms) == 2 else len(arms)
            sign = [1.0 if i[row] < j[row] else -1.0 for row in canonical]
            kind.setdefault(size, []).append((canonical, sign, arms, k))
    return Design(
        treatments=treatments,
        studies=studies,
        treat1=i,
        treat2=j,
        study=code,
        single=single,
        multi_arm=_groups(multi_arm),
        repeated=_groups(repeated),
    )


def _groups(kinds: dict[int, list]) -> tuple[StudyGroup, ...]:
    return tuple(StudyGroup(*map(np.array, zip(*kinds[size], strict=True))) for size in sorted(kinds))


def _study_rows(
    name: str,
    rows: list[int],
    i: np.ndarray,
    j: np.ndarray,
    treatments: list[str],
    *,
    repeats: bool,
) -> tuple[list[int], list[int]]:
    """Return the arms of one study, and its rows in the order of the pairs of arms."""
    pairs: dict[tuple[int, int], list[int]] = {}
    for row, first, second in zip(rows, i[rows].tolist(), j[rows].tolist(), strict=True):
        pairs.setdefault((first, second) if first < second else (second, first), []).append(row)
    arms = sorted({arm for pair in pairs for arm in pair})
    expected = list(combinations(arms, 2))
    if len(arms) > 2 and len(rows) == len(expected) == len(pairs):
        return arms, [pairs[pair][0] for pair in expected]
    named = {pair: f"{treatments[pair[0]]} vs {treatments[pair[1]]}" for pair in pairs}
    twice = [pair for pair, where in pairs.items() if len(where) > 1]
    if len(pairs) == 1 and repeats:
        return arms, rows
    if twice and len(pairs) == 1:
        raise ValueError(
            f"study '{name}' has {len(rows)} rows for {named[twice[0]]}: pass correlation= to treat "
            "them as correlated estimates of one study, or give them unique study labels to treat "
            "them as independent"
        )
    if twice:
        raise ValueError(
            f"study '{name}' has {len(arms)} treatments and {len(pairs[twice[0]])} rows for "
            f"{named[twice[0]]}; expected one row for each comparison of a multi-arm study"
        )
    absent = [f"{treatments[a]} vs {treatments[b]}" for a, b in expected if (a, b) not in pairs]
    raise ValueError(
        f"study '{name}' compares {len(arms)} treatments "
        f"({', '.join(treatments[a] for a in arms)}) and needs {len(expected)} contrasts, has "
        f"{len(rows)}; missing: {', '.join(absent)}{_completion_hint(treatments, arms, list(pairs))}"
    )


def _completion_hint(treatments: list[str], arms: list[int], pairs: list[tuple[int, int]]) -> str:
    """Explain how to complete a study whose contrasts all share one arm, or return an empty string."""
    shared = [arm for arm in arms if all(arm in pair for pair in pairs)]
    if len(pairs) != len(arms) - 1 or len(shared) != 1:
        return ""
    return (
        "; complete_contrasts gives them from the standard error of the arm that the others share, "
        f"{treatments[shared[0]]} (column se_baseline)"
    )


def reduce_contrasts(
    design: Design,
    te: np.ndarray,
    se: np.ndarray,
    correlation: np.ndarray | float | None,
    loop_tolerance: float | None = None,
) -> Reduced:
    """Reduce B data sets to independent rows.

    Parameters
    ----------
    te, se : ndarray [B x m]
    correlation : float or ndarray [B], optional
        Within-study correlation between several estimates of one comparison, both of their sampling
        errors and of their true effects; 0 gives the same fit as unique study labels.
    loop_tolerance : float, optional
        As in :func:`psps_paper.network.fit_network`.

    Raises
    ------
    ValueError
        Contrasts of a multi-arm study contradict each other (study and numbers are named).
    """
    n_sets = len(te)
    n = len(design.treatments)
    rows, x = design.single, design.x_single
    ys, ds, study = [te[:, rows]], [se[:, rows] ** 2], [design.study[rows]]
    log_jacobian = np.zeros(n_sets)
    if not design.multi_arm and not design.repeated:
        return Reduced(ys[0], ds[0], x, study[0], log_jacobian)
    xs = [x[None] if n_sets == 1 else np.broadcast_to(x, (n_sets, *x.shape))]
    for group in design.multi_arm:
        y, d, part = _reduce_multi_arm(design, group, te, se, loop_tolerance)
        n_studies, arms = group.arms.shape
        block = np.zeros((n_sets, n_studies, arms - 1, n))
        block[:, np.arange(n_studies)[:, None], :, group.arms] = part.transpose(1, 3, 0, 2)
        ys.append(y.reshape(n_sets, -1))
        ds.append(d.reshape(n_sets, -1))
        xs.append(block.reshape(n_sets, -1, n))
        study.append(np.repeat(group.studies, arms - 1))
        log_jacobian += n_studies * (math.log(arms) - (arms - 1) * math.log(2)) / 2
    for group in design.repeated:
        y, d, loading, log_det = _reduce_repeated(group, te, se, correlation)
        n_studies, size = group.rows.shape
        block = np.zeros((n_sets, n_studies, size, n))
        which = np.arange(n_studies)
        block[:, which, :, group.arms[:, 0]] = loading.swapaxes(0, 1)
        block[:, which, :, group.arms[:, 1]] = -loading.swapaxes(0, 1)
        ys.append(y.reshape(n_sets, -1))
        ds.append(d.reshape(n_sets, -1))
        xs.append(block.reshape(n_sets, -1, n))
        study.append(np.repeat(group.studies, size))
        log_jacobian += n_studies * log_det / 2
    return Reduced(
        np.concatenate(ys, axis=1),
        np.concatenate(ds, axis=1),
        np.concatenate(xs, axis=1),
        np.concatenate(study),
        log_jacobian,
    )


@lru_cache
def contrast_basis(arms: int) -> np.ndarray:
    """Build (arms - 1) orthogonal contrasts of squared length 2, so that tau2 enters as tau2 * I."""
    basis = np.zeros((arms - 1, arms))
    for k in range(1, arms):
        basis[k - 1, :k] = 1.0
        basis[k - 1, k] = -k
        basis[k - 1] *= np.sqrt(2 / (k * (k + 1)))
    basis.flags.writeable = False
    return basis


@lru_cache
def _places(arms: int) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each cell of a study's square, its contrast (in the order of the pairs of arms) and the sign."""
    places = np.zeros((arms, arms), int)
    first, second = np.triu_indices(arms, 1)
    places[first, second] = places[second, first] = np.arange(first.size)
    side = np.sign(np.arange(arms) - np.arange(arms)[:, None])
    places.flags.writeable = side.flags.writeable = False
    return places, side


def _squares(group: StudyGroup, te: np.ndarray, se: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Arrange effects, row minus column, and variances of each study as [B x studies x arms x arms]."""
    arms = group.arms.shape[1]
    places, side = _places(arms)
    rows = group.rows[:, places]
    effect = te[:, rows] * (group.sign[:, places] * side)
    variance = se[:, rows] ** 2
    variance[..., np.arange(arms), np.arange(arms)] = 0.0
    return effect, variance


def _gaps(effect: np.ndarray) -> np.ndarray:
    """Compute the largest gap of any loop of three arms in each study [B x studies]."""
    loops = effect[..., :, :, None] + effect[..., None, :, :] - effect[..., :, None, :]
    return np.abs(loops).max(axis=(-3, -2, -1))


def _gap_limits(
    group: StudyGroup, te: np.ndarray, se: np.ndarray, gaps: np.ndarray, tolerance: float | None
) -> np.ndarray:
    """Compute the largest gap accepted in each study [B x studies]."""
    if tolerance is not None:
        return np.full(gaps.shape, tolerance)
    smallest = se[:, group.rows].min(axis=-1)
    limits = LOOP_SHARE * smallest
    if (gaps <= limits).all():
        return limits
    for data_set, which in np.argwhere(gaps > limits):
        scaled = np.abs(te[data_set, group.rows[which]]) * 10.0 ** np.arange(MOST_DECIMALS)[:, None]
        written = (np.abs(scaled - np.rint(scaled)) <= 1e-9 * np.maximum(scaled, 1)).all(axis=1)
        if written.any():
            # Slightly more, because floating-point sums of three printed numbers are not exact.
            rounding = 1.5 * 10.0 ** -np.argmax(written) * (1 + 1e-9)
            limit = min(rounding, ROUNDED_SHARE * smallest[data_set, which])
            limits[data_set, which] = max(limits[data_set, which], limit)
    return limits


def closed_estimates(design: Design, te: np.ndarray, se: np.ndarray) -> np.ndarray:
    """Return te [m] of one data set with the loops of multi-arm studies closed, as the fit uses them."""
    closed = te.copy()
    for group in design.multi_arm:
        effect = _squares(group, te[None], se[None])[0]
        open_loop = _gaps(effect)[0] > NOTEWORTHY * se[group.rows].min(axis=1)
        mean = effect[0].mean(axis=-1)
        first, second = np.triu_indices(group.arms.shape[1], 1)
        nearest = (mean[:, first] - mean[:, second]) * group.sign
        closed[group.rows[open_loop]] = nearest[open_loop]
    return closed


def negative_arms(design: Design, te: np.ndarray, se: np.ndarray) -> dict[str, dict[str, float]]:
    """Find, by study and arm, the negative variances that the standard errors of one data set imply."""
    found: dict[str, dict[str, float]] = {}
    for group in design.multi_arm:
        variance = _squares(group, te[None], se[None])[1][0]
        arms = group.arms.shape[1]
        of_arm = variance.sum(axis=2)
        of_arm = (of_arm - of_arm.sum(axis=1, keepdims=True) / (2 * (arms - 1))) / (arms - 2)
        largest = variance.max(axis=(1, 2))[:, None]
        for k, arm in np.argwhere(of_arm < -NOTEWORTHY * largest):
            study = found.setdefault(design.studies[group.studies[k]], {})
            study[design.treatments[group.arms[k, arm]]] = float(of_arm[k, arm])
    return found


def multi_arm_notes(design: Design, te: np.ndarray, se: np.ndarray, tolerance: float | None) -> tuple[str, ...]:
    """List irregularities of multi-arm studies of one data set (te, se [m]) that are accepted, one sentence each."""
    notes = []
    for group in design.multi_arm:
        gaps = _gaps(_squares(group, te[None], se[None])[0])
        limits = _gap_limits(group, te[None], se[None], gaps, tolerance)[0]
        for k, study in enumerate(group.studies):
            if gaps[0, k] > NOTEWORTHY * se[group.rows[k]].min():
                notes.append(
                    f"study '{design.studies[study]}': its estimates miss closing a loop by {gaps[0, k]:.3g} "
                    f"(at most {limits[k]:.3g} is accepted); the fit uses the nearest estimates that close it"
                )
    for study, arms in negative_arms(design, te, se).items():
        notes += [
            f"study '{study}': arm {arm} would have the variance {value:#.2g}, which independent arms "
            "cannot have; its standard errors are used as they are"
            for arm, value in arms.items()
        ]
    return tuple(notes)


def _reduce_multi_arm(
    design: Design, group: StudyGroup, te: np.ndarray, se: np.ndarray, tolerance: float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    arms = group.arms.shape[1]
    effect, variance = _squares(group, te, se)
    mean = effect.sum(axis=-1) / arms
    gaps = _gaps(effect)
    limits = _gap_limits(group, te, se, gaps, tolerance)
    basis = contrast_basis(arms)
    d, vectors = np.linalg.eigh(-basis @ variance @ basis.T / 2)
    for wrong, what in (
        (gaps > limits, "estimates do not add up"),
        (d[..., 0] <= 1e-10 * d[..., -1], "standard errors belong to no covariance matrix"),
    ):
        if wrong.any():
            data_set, which = np.argwhere(wrong)[0]
            more = ""
            if what.startswith("est"):
                gap, limit = gaps[data_set, which], limits[data_set, which]
                more = f"; they miss by {gap:.3g}, at most {limit:.3g} is accepted (loop_tolerance)"
            _raise_contradiction(design, group, te, se, data_set, which, what, more)
    part = vectors.swapaxes(-1, -2) @ basis
    y = (part @ mean[..., None])[..., 0]
    return y, d, part


def _raise_contradiction(
    design: Design,
    group: StudyGroup,
    te: np.ndarray,
    se: np.ndarray,
    data_set: int,
    which: int,
    what: str,
    more: str,
) -> None:
    names = design.treatments
    numbers = "; ".join(
        f"{names[design.treat1[row]]} vs {names[design.treat2[row]]}: "
        f"te {te[data_set, row]:g}, se {se[data_set, row]:g}"
        for row in group.rows[which]
    )
    where = f" (data set {data_set})" if len(te) > 1 else ""
    raise ValueError(
        f"study '{design.studies[group.studies[which]]}'{where}: {what}, contrasts are inconsistent: {numbers}{more}"
    )


def _reduce_repeated(
    group: StudyGroup, te: np.ndarray, se: np.ndarray, correlation: np.ndarray | float | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    size = group.rows.shape[1]
    rho = np.broadcast_to(np.asarray(correlation, float), len(te))[:, None, None, None]
    eye = np.eye(size)
    within = (1 - rho) * eye + rho
    # Inverse square root of an equicorrelation matrix, in closed form.
    apart, together = (1 - rho) ** -0.5, (1 + (size - 1) * rho) ** -0.5
    whiten = apart * eye + (together - apart) / size
    error = se[:, group.rows]
    covariance = error[..., :, None] * within * error[..., None, :]
    d, vectors = np.linalg.eigh(whiten @ covariance @ whiten)
    turn = vectors.swapaxes(-1, -2) @ whiten
    y = (turn @ (te[:, group.rows] * group.sign)[..., None])[..., 0]
    rho = rho[:, 0, 0, 0]
    log_det = (size - 1) * np.log1p(-rho) + np.log1p((size - 1) * rho)
    return y, d, turn.sum(axis=-1), log_det
