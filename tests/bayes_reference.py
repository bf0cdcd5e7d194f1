"""Two slow, independent computations of the posteriors of :func:`psps_paper.bayes.fit_bayes`, and random networks to
test them on."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pandas as pd
import scipy

from psps_paper.bayes import exponential, half_cauchy, half_normal, inverse_gamma, log_normal, log_t, uniform

# Densities of tau by scipy, for the priors' own.
DENSITIES = {
    "HalfNormal": lambda p: scipy.stats.halfnorm(scale=p.scale).logpdf,
    "HalfCauchy": lambda p: scipy.stats.halfcauchy(scale=p.scale).logpdf,
    "Uniform": lambda p: scipy.stats.uniform(p.lower, p.upper - p.lower).logpdf,
    "Exponential": lambda p: scipy.stats.expon(scale=1 / p.rate).logpdf,
    "InverseGamma": lambda p: lambda t: scipy.stats.invgamma(p.shape, scale=p.scale).logpdf(t**2) + np.log(2 * t),
    "LogNormal": lambda p: lambda t: scipy.stats.norm(p.mean, p.sd).logpdf(2 * np.log(t)) + np.log(2 / t),
    "LogT": lambda p: lambda t: scipy.stats.t(p.df, p.location, p.scale).logpdf(2 * np.log(t)) + np.log(2 / t),
}


def log_density(prior) -> callable:
    return DENSITIES[type(prior).__name__](prior)


def random_prior(rng: np.random.Generator):
    scale = float(np.exp(rng.uniform(-2, 1)))
    return [
        half_normal(scale),
        half_cauchy(scale),
        uniform(2 * scale),
        uniform(scale / 4, 2 * scale),
        exponential(1 / scale),
        inverse_gamma(2, scale**2),
        log_normal(2 * np.log(scale), 1.5),
        log_t(2 * np.log(scale), 1.2),
    ][rng.integers(8)]


def random_network(rng: np.random.Generator, treatments: int | None = None) -> pd.DataFrame:
    """Two-arm studies of 2 to 4 treatments, at least two studies more than treatments."""
    n = treatments or int(rng.integers(2, 5))
    k = n + 1 + int(rng.integers(0, 12))
    first = np.concatenate([np.zeros(n - 1, int), rng.integers(0, n, k - n + 1)])
    second = np.concatenate([np.arange(1, n), (first[n - 1 :] + rng.integers(1, n, k - n + 1)) % n])
    se = np.exp(rng.normal(-1, 0.6, k))
    te = (
        rng.normal(0, 1, n)[first]
        - rng.normal(0, 1, n)[second]
        + rng.normal(0, 1, k) * np.hypot(se, rng.choice([0, 0.2, 1]))
    )
    return pd.DataFrame(
        {
            "study": [f"study {i:02}" for i in range(k)],
            "treat1": [f"t{i}" for i in first],
            "treat2": [f"t{i}" for i in second],
            "te": te,
            "se": se,
        }
    )


def dense(table: pd.DataFrame, prior, effect_sd: float, nodes: int) -> dict:
    """Gauss-Legendre over log tau with about ``nodes`` nodes; weights and moments of the basic parameters.

    The likelihood is that of the contrasts with the effects integrated out, from their full covariance matrix.
    """
    names = sorted({*table["treat1"], *table["treat2"]})
    x = np.array(
        [
            [(a == name) - (b == name) for name in names[1:]]
            for a, b in zip(table["treat1"], table["treat2"], strict=True)
        ],
        float,
    )
    y, v = table["te"].to_numpy(), table["se"].to_numpy() ** 2
    low, high = (
        np.log(bound) if 0 < bound < np.inf else end for bound, end in zip(prior.bounds, (-340.0, 42.0), strict=True)
    )
    # Panels are narrow where the data are informative and wide in the tails.
    edges = np.unique(
        np.clip(
            [
                *np.arange(-340, -40, 20.0),
                *np.arange(-40, -8, 4.0),
                *np.arange(-8, 5, 0.25),
                *np.arange(5, 43, 2.0),
                low,
                high,
            ],
            low,
            high,
        )
    )
    size = max(12, round(nodes / (len(edges) - 1)))
    z, w = np.polynomial.legendre.leggauss(size)
    width = np.diff(edges)[:, None]
    log_tau = (edges[:-1, None] + width * (1 + z) / 2).ravel()
    weight = (width * w / 2).ravel()
    tau = np.exp(log_tau)
    variance = v + tau[:, None] ** 2
    q = x.shape[1]
    inverse = (x.T / variance[:, None, :]) @ x + np.eye(q) / effect_sd**2
    covariance = np.linalg.inv(inverse)
    mean = (covariance @ (x.T @ (y / variance).T[None]).transpose(2, 1, 0))[:, :, 0]
    log = scipy_log_likelihood(x, y, variance, mean, inverse, effect_sd) + log_density(prior)(tau) + log_tau
    top = log.max()
    weight = weight * np.exp(log - top)
    total = weight.sum()
    return {
        "weight": weight / total,
        "tau": tau,
        "mean": mean,
        "covariance": covariance,
        "log_marginal": top + np.log(total),
    }


def scipy_log_likelihood(x, y, variance, mean, inverse, effect_sd) -> np.ndarray:
    residual = y - mean @ x.T
    log = -(np.log(2 * np.pi * variance) + residual**2 / variance).sum(axis=1) / 2
    q = x.shape[1]
    if np.isfinite(effect_sd):
        log = log - (mean**2).sum(axis=1) / effect_sd**2 / 2 - q * np.log(2 * np.pi * effect_sd**2) / 2
    return log + q * np.log(2 * np.pi) / 2 - np.linalg.slogdet(inverse)[1] / 2


def differences_from(post, reference: dict) -> dict[str, float]:
    """Largest differences between a fit and :func:`dense`; effects, limits and SDs in posterior SDs."""
    w, tau, mean, covariance = (reference[key] for key in ("weight", "tau", "mean", "covariance"))
    n = mean.shape[1] + 1
    full = np.hstack([np.zeros((len(w), 1)), mean])
    wide = np.zeros((len(w), n, n))
    wide[:, 1:, 1:] = covariance
    found: dict[str, list[float]] = {"log_marginal": [post.log_marginal - reference["log_marginal"]]}
    tau_mean, tau_sd = w @ tau, np.sqrt(w @ (tau - w @ tau) ** 2)
    if np.isfinite(post.tau_sd):
        found["tau"] = [(post.tau_mean - tau_mean) / tau_sd, post.tau_sd / tau_sd - 1]
    for i in range(n):
        for j in range(i + 1, n):
            m, s = full[:, i] - full[:, j], np.sqrt(wide[:, i, i] + wide[:, j, j] - 2 * wide[:, i, j])
            sd = np.sqrt(w @ (s**2 + (m - w @ m) ** 2))
            if np.isfinite(post.sd.iat[i, j]):
                found.setdefault("effects", []).extend([(post.te.iat[i, j] - w @ m) / sd, post.sd.iat[i, j] / sd - 1])
            found.setdefault("p", []).append(post.p_better("lower").iat[i, j] - w @ scipy.special.ndtr(-m / s))
            for frame, spread, p in (
                (post.lower, s, 0.025),
                (post.upper, s, 0.975),
                (post.predict_lower, np.hypot(s, tau), 0.025),
                (post.predict_upper, np.hypot(s, tau), 0.975),
            ):
                z = (frame.iat[i, j] - m) / spread
                slope = w @ (np.exp(-(z**2) / 2) / spread) / np.sqrt(2 * np.pi)
                typical = (frame.iat[i, j] - w @ m) if np.isinf(sd) else sd
                found.setdefault("limits", []).append((w @ scipy.special.ndtr(z) - p) / slope / typical)
    return {key: float(np.abs(values).max()) for key, values in found.items()}


def exactly(te, se, scale: float, effect_sd: float, digits: int = 30) -> dict[str, mp.mpf]:
    """One comparison under a half-normal prior, by the tanh-sinh rule with many digits."""
    mp.mp.dps = digits
    te, se = [mp.mpf(float(value)) for value in te], [mp.mpf(float(value)) for value in se]
    own = mp.mpf(0) if np.isinf(effect_sd) else 1 / mp.mpf(float(effect_sd)) ** 2
    scale = mp.mpf(float(scale))
    step = mp.mpf(1) / 44
    sums = [mp.mpf(0)] * 6
    parts = []
    for k in range(-170, 171):
        s = k * step
        tau = scale * mp.exp(mp.sinh(s) * mp.pi / 2)
        if tau > 30 * scale:
            break
        precision, right, log = own, mp.mpf(0), mp.mpf(0)
        for y, e in zip(te, se, strict=True):
            v = e**2 + tau**2
            precision, right, log = precision + 1 / v, right + y / v, log - mp.log(2 * mp.pi * v) / 2 - y**2 / v / 2
        log += (
            right**2 / precision / 2 + mp.log(2 * mp.pi / precision) / 2 + (mp.log(own / (2 * mp.pi)) / 2 if own else 0)
        )
        prior = mp.sqrt(2 / mp.pi) / scale * mp.exp(-((tau / scale) ** 2) / 2)
        weight = mp.exp(log) * prior * tau * mp.cosh(s) * mp.pi / 2 * step
        m, variance = right / precision, 1 / precision
        parts.append((weight, m, mp.sqrt(variance)))
        sums = [
            total + weight * value for total, value in zip(sums, (1, tau, tau**2, m, m**2 + variance, 0), strict=True)
        ]
    z = sums[0]
    tau_mean, mean = sums[1] / z, sums[3] / z
    return {
        "log_marginal": mp.log(z),
        "tau_mean": tau_mean,
        "tau_sd": mp.sqrt(sums[2] / z - tau_mean**2),
        "te": mean,
        "sd": mp.sqrt(sums[4] / z - mean**2),
        "parts": [(weight / z, m, s) for weight, m, s in parts],
    }
