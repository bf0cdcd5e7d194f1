"""Bring draws from the prior to a point of the printed region: equality-constrained Gauss-Newton, many at once."""

from __future__ import annotations

import numpy as np

from psps_paper.ensemble.constraints import FITS, Constraints
from psps_paper.ensemble.model import Assumptions, Evidence, TrialModel, draw_model, move_estimates
from psps_paper.network.model import fit_networks

# residual units: a member has met its targets when the squared sum in these is below _MET
_UNIT = {"pooled": 1e-3, "log_q": 1e-3, "egger": 5e-3, "remark": 0.05, "score": 1e-3}
_MET = 1e-8
_STEPS = 25


class Targets:
    """One point of the printed region for each member: pooled te and log se, Q, Egger's t."""

    def __init__(self, constraints: Constraints, pooled: np.ndarray, q: np.ndarray, egger: np.ndarray):
        self.constraints, self.pooled, self.q, self.egger = constraints, pooled, q, egger

    @classmethod
    def draw(cls, constraints: Constraints, size: int, rng: np.random.Generator) -> Targets:
        """Uniform over the region of pooled networks, over Q's range and over both signs of Egger's t."""
        evidence = constraints.evidence
        egger = rng.choice([-1.0, 1.0], size) * rng.uniform(*evidence.egger_t, size)
        pooled = evidence.region.sample(size, rng, steps=60)
        return cls(constraints, pooled, rng.uniform(*evidence.q_range, size), egger)

    def subset(self, rows: np.ndarray) -> Targets:
        return Targets(self.constraints, self.pooled[rows], self.q[rows], self.egger[rows])

    def residual(self, value: np.ndarray, jac: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        c = self.constraints.c
        q = value[:, 2 * c : 3 * c].sum(axis=1, keepdims=True)
        remark, remark_j = self.constraints.remark_values(value, jac)
        short = np.minimum(remark - self.constraints.remark_low - 1e-3, 0.0)
        r = [
            (value[:, : 2 * c] - self.pooled) / _UNIT["pooled"],
            np.log(q / self.q[:, None]) / _UNIT["log_q"],
            (value[:, 3 * c : 3 * c + 1] - self.egger[:, None]) / _UNIT["egger"],
            short / _UNIT["remark"],
        ]
        j = [
            jac[:, : 2 * c] / _UNIT["pooled"],
            jac[:, 2 * c : 3 * c].sum(axis=1, keepdims=True) / q[:, :, None] / _UNIT["log_q"],
            jac[:, 3 * c : 3 * c + 1] / _UNIT["egger"],
            remark_j * (short != 0)[:, :, None] / _UNIT["remark"],
        ]
        if self.constraints.method in ("REML", "ML"):
            r.append(value[:, -1:] / _UNIT["score"])
            j.append(jac[:, -1:] / _UNIT["score"])
        return np.concatenate(r, axis=1), np.concatenate(j, axis=1)


def meet(model: TrialModel, targets: Targets, z: np.ndarray, steps: int = _STEPS) -> tuple[np.ndarray, np.ndarray]:
    """Latents moved by the shortest steps towards their targets, and the squared residual left [B]."""
    z = model.clip(z)
    r, jac = targets.residual(*model.aggregates(z))
    cost = (r**2).sum(axis=1)
    damping = np.full(len(z), 1.0)
    for _ in range(steps):
        live = np.flatnonzero(cost > 0.01 * _MET)
        if not len(live):
            break
        j = jac[live]
        gram = j @ j.swapaxes(1, 2)
        k = gram.shape[1]
        gram[:, np.arange(k), np.arange(k)] += damping[live, None]
        step = -(j.swapaxes(1, 2) @ np.linalg.solve(gram, r[live][..., None]))[..., 0]
        step *= np.minimum(1.0, 1.0 / np.maximum(np.abs(step).max(axis=1, keepdims=True), 1e-12))
        part = model.subset(live)
        trial = part.clip(z[live] + step)
        r_new, jac_new = targets.subset(live).residual(*part.aggregates(trial))
        cost_new = (r_new**2).sum(axis=1)
        better = cost_new < cost[live]
        won = live[better]
        z[won], r[won], jac[won], cost[won] = trial[better], r_new[better], jac_new[better], cost_new[better]
        damping[live] = np.clip(np.where(better, damping[live] * 0.1, damping[live] * 5), 1e-9, 1e12)
    return z, cost


def draw_members(
    evidence: Evidence, assumptions: Assumptions, *, size: int, generations: int, rng: np.random.Generator
) -> tuple[TrialModel, np.ndarray, np.ndarray]:
    """``size`` independent draws from the prior, each brought to its own point of the printed region.

    A draw that does not reach its targets tries again, up to ``generations`` times, with one estimate moved to
    another study and its latents shaken a little; it keeps what brings it nearer. Draws never mix, so those
    that succeed are independent.

    Returns the model, latents [B x L] and whether each member agrees with everything printed [B].
    """
    a, b = assumptions.coefficients(evidence.studies["crossover"].to_numpy())
    conventions = np.broadcast_to(np.array([a, b]), (size, 2, len(a)))
    model, z = draw_model(evidence, conventions, assumptions.tau2, size, rng)
    constraints = Constraints(evidence, assumptions.tau2)
    targets = Targets.draw(constraints, size, rng)
    z, cost = meet(model, targets, z)
    for _ in range(generations):
        live = np.flatnonzero(cost > _MET)
        if not len(live):
            break
        part = model.subset(live)
        moved = move_estimates(evidence, part.study, rng)
        shaken = z[live] + 0.1 * rng.normal(size=z[live].shape)
        trial, cost_new = meet(part.reallocated(moved), targets.subset(live), shaken)
        better = cost_new < cost[live]
        won = live[better]
        z[won], cost[won] = trial[better], cost_new[better]
        study = model.study.copy()
        study[won] = moved[better]
        model = model.reallocated(study)
    return model, z, _agree(model, constraints, z, cost)


def settle(model: TrialModel, targets: Targets, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Latents after many steps towards their targets, and whether each member then agrees with the print [B]."""
    z, cost = meet(model, targets, z, steps=100)
    return z, _agree(model, targets.constraints, z, cost)


def _agree(model: TrialModel, constraints: Constraints, z: np.ndarray, cost: np.ndarray) -> np.ndarray:
    g, _ = constraints(*model.aggregates(z))
    agrees = (np.abs(constraints.excess(g)).max(axis=1) <= FITS) & (cost <= _MET)
    rows = np.flatnonzero(agrees)
    if len(rows):
        te, v, _ = model.subset(rows).trials(z[rows])
        agrees[rows] = refit_agrees(constraints.evidence, constraints.method, te, np.sqrt(v))
    return agrees


def refit_excess(evidence: Evidence, method: str, te: np.ndarray, se: np.ndarray) -> np.ndarray:
    """How far the engine's own fit of te, se [B x m] lies outside the print, in half-units of the worst value [B].

    Pooled values, P-scores and I2 count. A likelihood may have several stationary points; here the engine
    chooses, as any reader's would.
    """
    edges = evidence.edges
    design = edges.iloc[evidence.estimates][["treat1", "treat2"]].reset_index(drop=True)
    design.insert(0, "study", [f"estimate {k + 1}" for k in range(len(design))])
    fit = fit_networks(design, te, se, tau2=0.0 if method == "common" else method)
    order = list(fit.treatments)
    at = [(order.index(a), order.index(b)) for a, b in zip(edges["treat1"], edges["treat2"], strict=True)]
    pooled = np.column_stack([fit.te[:, i, j] for i, j in at] + [np.log(fit.se[:, i, j]) for i, j in at])
    low, high = (1 - evidence.df / q for q in evidence.q_range)
    i2 = evidence.printed[evidence.printed["quantity"] == "i2"].iloc[0]
    half = 0.5 * 10.0 ** -int(i2["decimals"])
    off_i2 = np.maximum(np.maximum(fit.i2 - high, low - fit.i2), 0) / half
    return np.maximum(np.maximum(evidence.region.misfit(pooled) - 1, 0), off_i2)


def refit_agrees(evidence: Evidence, method: str, te: np.ndarray, se: np.ndarray) -> np.ndarray:
    """Whether the engine's own fit of te, se [B x m] prints as the article does [B]."""
    return refit_excess(evidence, method, te, se) <= FITS
