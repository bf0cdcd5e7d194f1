// The "what if" page. Equations, settings and results are those of psps_paper/explorer.py, name by name;
// tests/test_explorer.py holds the two against each other. No dependency; nothing is sent anywhere.
(() => {
  "use strict";

  // ---------------------------------------------------------------- distributions

  const density = (x) => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);

  // Normal distribution function: series near the middle (Marsaglia 2004), continued fraction in the tails.
  const ndtr = (x) => {
    if (Math.abs(x) < 6) {
      let term = x;
      let sum = x;
      for (let i = 3; sum !== sum + term; i += 2) {
        term *= (x * x) / i;
        sum += term;
      }
      return 0.5 + sum * density(x);
    }
    let fraction = Math.abs(x);
    for (let i = 40; i > 0; i -= 1) fraction = Math.abs(x) + i / fraction;
    return x < 0 ? density(x) / fraction : 1 - density(x) / fraction;
  };

  // Normal quantile: Halley's steps from Tukey's approximation.
  const ndtri = (p) => {
    let x = (p ** 0.135 - (1 - p) ** 0.135) / 0.1975;
    for (let i = 0; i < 5; i += 1) {
      const step = (ndtr(x) - p) / density(x);
      x -= step / (1 + (x * step) / 2);
    }
    return x;
  };

  // P(|T| < sqrt(df) tan(angle)) for whole df (Abramowitz & Stegun 26.7.3 and 26.7.4).
  const withinAngle = (df, angle) => {
    const [sine, cosine] = [Math.sin(angle), Math.cos(angle)];
    const odd = df % 2;
    let term = odd ? cosine : 1;
    let sum = df > 1 ? term : 0;
    for (let i = 1 + odd; i <= df - 3; i += 2) {
      term *= (i / (i + 1)) * cosine * cosine;
      sum += term;
    }
    return odd ? (2 / Math.PI) * (angle + sine * sum) : sine * sum;
  };

  const stdtr = (df, t) => (1 + Math.sign(t) * withinAngle(df, Math.atan(Math.abs(t) / Math.sqrt(df)))) / 2;

  // Two-sided t quantile by bisection of the angle; NaN without degrees of freedom.
  const tQuantile = (level, df) => {
    if (df <= 0) return NaN;
    let [low, high] = [0, Math.PI / 2];
    for (let i = 0; i < 70; i += 1) {
      const middle = (low + high) / 2;
      if (withinAngle(df, middle) < level) low = middle;
      else high = middle;
    }
    return Math.sqrt(df) * Math.tan((low + high) / 2);
  };

  // Hedges' exact factor: gamma(m / 2) / (sqrt(m / 2) gamma((m - 1) / 2)), by r(m + 2) = r(m) m / (m - 1).
  const smallSampleFactor = (m) => {
    let ratio = m % 2 ? Math.sqrt(Math.PI) / 2 : 1 / Math.sqrt(Math.PI);
    for (let i = m % 2 ? 3 : 2; i < m; i += 2) ratio *= i / (i - 1);
    return ratio / Math.sqrt(m / 2);
  };

  // ---------------------------------------------------------------- network

  const trialContrast = (trial, scaleDesirable) => {
    const { n1, mean1, sd1, n2, mean2, sd2 } = trial;
    const df = n1 + n2 - 2;
    const pooled = Math.sqrt(((n1 - 1) * sd1 ** 2 + (n2 - 1) * sd2 ** 2) / df);
    const g = (smallSampleFactor(df) * (mean1 - mean2)) / pooled;
    const se = Math.sqrt(1 / n1 + 1 / n2 + g ** 2 / (2 * (n1 + n2)));
    return { te: scaleDesirable === "higher" ? g : -g, se };
  };

  const pooledUnder = (data, settings) =>
    data.comparisons.map((row) => {
      const variance = row.estimates * row.se ** 2 - settings.reference;
      const inflation = 1 + (row.estimates / row.studies - 1) * settings.rho;
      const squared = ((variance + settings.tau2) / row.estimates) * inflation;
      const spread = row.estimates * row.se ** 2; // what the print has for variance + reference
      return { ...row, variance, spread, se: variance > 0 ? Math.sqrt(squared) : null };
    });

  const components = (rows) => {
    const parts = [];
    for (const { treat1, treat2 } of rows) {
      const touched = parts.filter((part) => part.has(treat1) || part.has(treat2));
      const joined = new Set([treat1, treat2, ...touched.flatMap((part) => [...part])]);
      parts.splice(0, parts.length, ...parts.filter((part) => !touched.includes(part)), joined);
    }
    return parts;
  };

  // Generalised least squares; effects and covariance are relative to the first treatment.
  const fitNetwork = (rows) => {
    const treatments = [...new Set(rows.flatMap((row) => [row.treat1, row.treat2]))].sort();
    const size = treatments.length - 1;
    const place = (treatment) => treatments.indexOf(treatment) - 1;
    const matrix = Array.from({ length: size }, () => new Array(2 * size + 1).fill(0));
    for (const { treat1, treat2, te, se } of rows) {
      const weight = 1 / se ** 2;
      const signs = [[place(treat1), 1], [place(treat2), -1]].filter(([i]) => i >= 0);
      for (const [i, a] of signs) {
        for (const [j, b] of signs) matrix[i][j] += a * b * weight;
        matrix[i][2 * size] += a * weight * te;
      }
    }
    matrix.forEach((row, i) => { row[size + i] = 1; });
    // Gauss-Jordan; the matrix is positive definite, so that no pivot is zero. logDet: of the covariance.
    let logDet = 0;
    for (let i = 0; i < size; i += 1) {
      const pivot = matrix[i][i];
      logDet -= Math.log(pivot);
      matrix[i] = matrix[i].map((value) => value / pivot);
      for (let k = 0; k < size; k += 1) {
        if (k === i) continue;
        const factor = matrix[k][i];
        matrix[k] = matrix[k].map((value, j) => value - factor * matrix[i][j]);
      }
    }
    const effects = [0, ...matrix.map((row) => row[2 * size])];
    const covariance = [new Array(size + 1).fill(0), ...matrix.map((row) => [0, ...row.slice(size, 2 * size)])];
    const contrast = (first, second) => {
      const [i, j] = [treatments.indexOf(first), treatments.indexOf(second)];
      return {
        te: effects[i] - effects[j],
        se: Math.sqrt(covariance[i][i] + covariance[j][j] - 2 * covariance[i][j]),
      };
    };
    return { treatments, effects, covariance, contrast, logDet };
  };

  // Halton's sequence in the bases 2, 3, 5 without zero, as normal quantiles; computed once.
  const normalPoints = (() => {
    const stored = {};
    const radicalInverse = (n, base) => {
      let value = 0;
      for (let share = 1 / base; n > 0; share /= base) {
        value += share * (n % base);
        n = Math.floor(n / base);
      }
      return value;
    };
    return (draws) => {
      stored[draws] ??= [2, 3, 5].map((base) => Float64Array.from({ length: draws }, (_, i) => ndtri(radicalInverse(i + 1, base))));
      return stored[draws];
    };
  })();

  const rankShares = (fit, draws, sign) => {
    const size = fit.treatments.length;
    const factor = fit.covariance.map((row) => row.map(() => 0));
    for (let i = 1; i < size; i += 1) {
      for (let j = 1; j <= i; j += 1) {
        let rest = fit.covariance[i][j];
        for (let k = 1; k < j; k += 1) rest -= factor[i][k] * factor[j][k];
        factor[i][j] = i === j ? Math.sqrt(rest) : rest / factor[j][j];
      }
    }
    const points = normalPoints(draws);
    const counts = fit.treatments.map(() => new Array(size).fill(0));
    const effects = new Array(size);
    for (let draw = 0; draw < draws; draw += 1) {
      for (let i = 0; i < size; i += 1) {
        effects[i] = fit.effects[i];
        for (let k = 1; k <= i; k += 1) effects[i] += factor[i][k] * points[k - 1][draw];
      }
      for (let i = 0; i < size; i += 1) {
        let better = 0;
        for (let j = 0; j < size; j += 1) if (sign * effects[j] > sign * effects[i]) better += 1;
        counts[i][better] += 1;
      }
    }
    return counts.map((row) => row.map((count) => count / draws));
  };

  const pScores = (fit, mid, sign) =>
    fit.treatments.map((first) => {
      const rivals = fit.treatments.filter((second) => second !== first);
      const wins = rivals.map((second) => {
        const { te, se } = fit.contrast(first, second);
        return ndtr((sign * te - mid) / se);
      });
      return wins.reduce((sum, win) => sum + win, 0) / rivals.length;
    });

  const againstNetwork = (rows, trial, tau2, { te, se }) => {
    const part = components(rows).find((each) => each.has(trial.treat1) && each.has(trial.treat2));
    if (!part) return { difference: null, difference_se: null, p: null };
    const without = fitNetwork(rows.filter((row) => part.has(row.treat1))).contrast(trial.treat1, trial.treat2);
    const difference = te - without.te;
    const spread = Math.sqrt(se ** 2 + tau2 + without.se ** 2);
    return { difference, difference_se: spread, p: 2 * ndtr(-Math.abs(difference) / spread) };
  };

  // The Bayesian model: tau is integrated over by the trapezoidal rule on its logarithm, where the integrand dies away
  // on both sides; the rest is normal. `kept` are the comparisons, `own` the new trial or null.
  const bayesUnder = (data, settings, kept, own) => {
    const step = 0.0625;
    const nodes = [];
    for (let s = -16; s <= 2.75; s += step) {
      const tau2 = (settings.prior * Math.exp(s)) ** 2;
      let log = s - tau2 / (2 * settings.prior ** 2);
      const rows = kept.map((row) => {
        const one = row.variance + tau2;
        log -= ((row.estimates - 1) * Math.log(one) + ((row.estimates - 1) * row.spread) / one) / 2;
        const inflation = 1 + (row.estimates / row.studies - 1) * settings.rho;
        return { ...row, se: Math.sqrt((one / row.estimates) * inflation) };
      });
      if (own) rows.push({ ...own, se: Math.sqrt(own.se ** 2 + tau2) });
      const fit = fitNetwork(rows);
      for (const row of rows) {
        const place = (treatment) => fit.effects[fit.treatments.indexOf(treatment)];
        log -= Math.log(row.se) + ((row.te - place(row.treat1) + place(row.treat2)) / row.se) ** 2 / 2;
      }
      nodes.push({ tau2, fit, log: log + fit.logDet / 2 });
    }
    const highest = Math.max(...nodes.map((node) => node.log));
    const used = nodes.map((node) => ({ ...node, weight: Math.exp(node.log - highest) })).filter((node) => node.weight > 1e-16);
    const total = used.reduce((sum, node) => sum + node.weight, 0);
    const mean = (value) => used.reduce((sum, node) => sum + node.weight * value(node), 0) / total;
    const { treatments } = used[0].fit;
    const contrasts = data.pairs
      .filter((pair) => pair.every((treatment) => treatments.includes(treatment)))
      .map(([treat1, treat2]) => {
        const parts = used.map(({ fit, tau2, weight }) => ({ ...fit.contrast(treat1, treat2), tau2, share: weight / total }));
        const above = (x, added) => parts.reduce((sum, { te, se, tau2, share }) => sum + share * ndtr((te - x) / Math.sqrt(se ** 2 + added * tau2)), 0);
        const quantile = (p) => {
          const reach = ndtri(1 - Math.min(p, 1 - p) / 2) + 1;
          let low = Math.min(...parts.map(({ te, se }) => te - reach * se));
          let high = Math.max(...parts.map(({ te, se }) => te + reach * se));
          for (let i = 0; i < 60 && high - low > 1e-10; i += 1) {
            const middle = (low + high) / 2;
            if (1 - above(middle, 0) < p) low = middle;
            else high = middle;
          }
          return (low + high) / 2;
        };
        return {
          treat1, treat2,
          te: parts.reduce((sum, { te, share }) => sum + share * te, 0),
          lower: quantile((1 - settings.level) / 2),
          upper: quantile((1 + settings.level) / 2),
          beyond: above(settings.mid, 0),
          beyond_new: above(settings.mid, 1),
        };
      });
    return { tau_mean: mean(({ tau2 }) => Math.sqrt(tau2)), contrasts };
  };

  const compute = (data, settings) => {
    const pooled = pooledUnder(data, settings);
    const comparisons = pooled.map(({ treat1, treat2, variance, se }) => ({ treat1, treat2, variance, se }));
    if (!pooled.every((row) => row.variance > 0)) return { status: "incompatible", comparisons };
    const kept = pooled.filter((_, i) => settings.keep[i]);
    const rows = kept.map(({ treat1, treat2, te, se }) => ({ treat1, treat2, te, se }));
    let estimates = kept.reduce((sum, row) => sum + row.estimates, 0);
    let trial = null;
    if (settings.trial) {
      const contrast = trialContrast(settings.trial, data.scale_desirable);
      trial = { ...contrast, ...againstNetwork(rows, settings.trial, settings.tau2, contrast) };
      const { treat1, treat2 } = settings.trial;
      rows.push({ treat1, treat2, te: contrast.te, se: Math.sqrt(contrast.se ** 2 + settings.tau2) });
      estimates += 1;
    }
    if (!rows.length) return { status: "empty", comparisons };
    const parts = components(rows);
    if (parts.length > 1) return { status: "disconnected", comparisons, parts: parts.map((part) => [...part].sort()) };

    const fit = fitNetwork(rows);
    const { treatments } = fit;
    const df = estimates - treatments.length;
    const sign = data.desirable === "higher" ? 1 : -1;
    const z = ndtri((1 + settings.level) / 2);
    const t = tQuantile(settings.level, df);
    const contrasts = data.pairs
      .filter((pair) => pair.every((treatment) => treatments.includes(treatment)))
      .map(([treat1, treat2]) => {
        const { te, se } = fit.contrast(treat1, treat2);
        const spread = Math.sqrt(se ** 2 + settings.tau2);
        return {
          treat1, treat2, te, se,
          lower: te - z * se,
          upper: te + z * se,
          predict_lower: df > 0 ? te - t * spread : null,
          predict_upper: df > 0 ? te + t * spread : null,
          beyond: ndtr((te - settings.mid) / se),
          beyond_new: df > 0 ? stdtr(df, (te - settings.mid) / spread) : null,
        };
      });
    const ranks = rankShares(fit, data.draws, sign);
    return {
      status: "ok",
      comparisons,
      treatments,
      df_predict: df,
      contrasts,
      p_scores: pScores(fit, 0, sign),
      p_scores_mid: pScores(fit, settings.mid, sign),
      ranks,
      mean_ranks: ranks.map((row) => row.reduce((sum, share, i) => sum + share * (i + 1), 0)),
      trial,
      bayes: bayesUnder(data, settings, kept, settings.trial && { ...settings.trial, te: trial.te, se: trial.se }),
    };
  };

  // ---------------------------------------------------------------- settings in the address

  const SLIDERS = [
    { key: "tau2", label: "Between-study variance τ²", max: 0.3, step: 0.001, digits: 3 },
    { key: "rho", label: "Correlation of estimates of one study", max: 1, step: 0.01, digits: 2 },
    { key: "mid", label: "Minimal important difference (SMD)", max: 1.5, step: 0.01, digits: 2 },
    { key: "level", label: "Confidence level", min: 0.5, max: 0.999, step: 0.001, digits: 3 },
    { key: "prior", label: "Bayesian prior of τ, half-normal: scale", min: 0.05, max: 2, step: 0.05, digits: 2 },
    { key: "reference", label: "τ² behind the printed intervals", max: 0.15, step: 0.001, digits: 3 },
  ];
  const ARM = ["treat1", "n1", "mean1", "sd1", "treat2", "n2", "mean2", "sd2"];
  const EXAMPLE = {
    treat1: "conservative", n1: 50, mean1: 5, sd1: 2.5, treat2: "placebo/sham", n2: 50, mean2: 5, sd2: 2.5,
  };

  const inRange = ({ min = 0, max }, value) => Number.isFinite(value) && value >= min && value <= max;

  const treatmentsOf = (data) => [...new Set(data.comparisons.flatMap((row) => [row.treat1, row.treat2]))].sort();

  // What is wrong with a typed trial: the fields, the arm beside which it is said, and the words.
  const trialProblems = (data, trial) => {
    const { people, mean: largest, sd: [narrowest, widest], smd } = data.limits;
    const treatments = treatmentsOf(data);
    const whole = (value) => value.toLocaleString("en-US");
    const found = ["1", "2"].flatMap((arm) => {
      const [n, mean, sd] = [trial[`n${arm}`], trial[`mean${arm}`], trial[`sd${arm}`]];
      const size = Math.abs(mean);
      return [
        [`treat${arm}`, !treatments.includes(trial[`treat${arm}`]), `arm ${arm} is no treatment of this network`],
        [`n${arm}`, !Number.isInteger(n) || n < people[0] || n > people[1],
          `the number of people in arm ${arm} must be a whole number from ${people[0]} to ${whole(people[1])}`],
        [`mean${arm}`, !Number.isFinite(mean), `the mean of arm ${arm} must be a number`],
        [`mean${arm}`, size > largest && size < Infinity, `the mean of arm ${arm} must be from \u2212${whole(largest)} to ${whole(largest)}`],
        [`sd${arm}`, !Number.isFinite(sd) || sd <= 0, `the SD of arm ${arm} must be above 0`],
        [`sd${arm}`, (sd > 0 && sd < narrowest) || (sd > widest && sd < Infinity),
          `the SD of arm ${arm} must be from ${narrowest.toFixed(6)} to ${whole(widest)}`],
      ].filter(([, wrong]) => wrong).map(([key, , words]) => ({ keys: [key], arm, words }));
    });
    if (trial.treat1 === trial.treat2) found.push({ keys: ["treat1", "treat2"], arm: "2", words: "its two arms must be different treatments" });
    if (found.length) return found;
    const distance = Math.abs(trialContrast(trial, data.scale_desirable).te);
    if (distance <= smd) return [];
    const words = `its means are ${whole(Math.round(distance))} SDs apart, and at most ${smd} can be shown (are the SDs standard errors?)`;
    return [{ keys: ["mean1", "sd1", "mean2", "sd2"], arm: "2", words }];
  };

  // Only what differs from the defaults, so that the plain page has a plain address.
  const toAddress = (data, settings) => {
    const parameters = new URLSearchParams();
    for (const { key } of SLIDERS) if (settings[key] !== data.settings[key]) parameters.set(key, String(settings[key]));
    const dropped = settings.keep.flatMap((kept, i) => (kept ? [] : [i + 1]));
    if (dropped.length) parameters.set("drop", dropped.join(" "));
    if (settings.trial) for (const key of ARM) parameters.set(key, String(settings.trial[key]));
    return parameters.toString();
  };

  // Settings of an address; `refused` lists what was not understood and so left at its default.
  const fromAddress = (data, address) => {
    const parameters = new URLSearchParams(address);
    const settings = structuredClone(data.settings);
    const refused = [];
    for (const slider of SLIDERS) {
      if (!parameters.has(slider.key)) continue;
      const text = parameters.get(slider.key);
      const value = text.trim() ? Number(text) : NaN;
      if (inRange(slider, value)) settings[slider.key] = value;
      else refused.push(`${slider.key}=${text}`);
    }
    for (const number of (parameters.get("drop") ?? "").split(/[\s,]+/).filter(Boolean)) {
      if (data.comparisons[Number(number) - 1]) settings.keep[Number(number) - 1] = false;
      else refused.push(`drop=${number}`);
    }
    if (ARM.some((key) => parameters.has(key))) {
      const trial = Object.fromEntries(
        ARM.map((key) => [key, key.startsWith("treat") ? parameters.get(key) : Number(parameters.get(key) || NaN)]),
      );
      const [problem] = trialProblems(data, trial);
      if (problem) refused.push(`the new trial (${problem.words})`);
      else settings.trial = trial;
    }
    return { settings, refused };
  };

  // ---------------------------------------------------------------- words and elements

  const number = (value, digits = 2) => {
    if (value === null || !Number.isFinite(value)) return "not known";
    const text = Math.abs(value).toFixed(digits);
    return value < 0 && Number(text) !== 0 ? `\u2212${text}` : text;
  };
  const interval = (low, high) => (low === null ? "not known" : `${number(low)} to ${number(high)}`);
  const percent = (share) => {
    if (share === null) return "not known";
    const text = (100 * share).toFixed(0);
    if (share > 0 && share < 0.005) return "<\u202f1\u202f%";
    return share < 1 && share >= 0.995 ? ">\u202f99\u202f%" : `${text}\u202f%`;
  };
  const levelText = (level) => `${Number((100 * level).toFixed(1))}\u202f%`;
  const pText = (p) => (p < 0.001 ? "<\u202f0.001" : number(p, 3));
  const TIERS = {
    implied: "follows mathematically from printed numbers",
    simulated: "rests on an assumption beyond the print",
  };

  const element = (name, properties = {}, children = []) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
      if (key in made && key !== "list") made[key] = value;
      else made.setAttribute(key, value);
    }
    made.append(...[children].flat());
    return made;
  };
  const drawn = (name, properties = {}, text = "") => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(properties)) made.setAttribute(key, value);
    made.textContent = text;
    return made;
  };
  const badge = (tier) => element("span", { className: `tier tier-${tier}`, title: TIERS[tier], textContent: tier });

  // ---------------------------------------------------------------- the forest

  const WIDE = 560;
  const textWidth = (() => {
    let context;
    return (text, size, family) => {
      context ??= document.createElement("canvas").getContext("2d");
      context.font = `${size}px ${family}`;
      return context.measureText(text).width;
    };
  })();

  const TICKS = 9;

  // The axis from a multiple of its step to another: the finest of 0.5, 1, 2, 5, 10, ... whose labels fit.
  const axis = (low, high, width, measure) => {
    for (let power = -1; ; power += 1) {
      for (const digit of [1, 2, 5]) {
        const step = digit * 10 ** power;
        if (step < 0.5) continue;
        const [first, last] = [Math.floor(low / step), Math.ceil(high / step)];
        if (last - first >= TICKS) continue;
        const ticks = Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
        const labels = ticks.map((tick) => number(tick, step < 1 ? 1 : 0));
        const widest = Math.max(...labels.map(measure));
        if (ticks.length * (widest + 8) <= width || ticks.length < 4) return { low: ticks[0], high: ticks.at(-1), ticks, labels, widest };
      }
    }
  };

  const forest = (data, result, before, settings, width) => {
    const wide = width >= WIDE;
    const size = 14;
    const family = getComputedStyle(document.body).fontFamily;
    const labels = result.contrasts.map((row) => `${row.treat1} against ${row.treat2}`);
    const halves = (row) => [row.treat1, `against ${row.treat2}`];
    const across = (words) => textWidth(words, size, family);
    const labelWidth = wide ? Math.max(...result.contrasts.flatMap(halves).map(across)) + 16 : 0;
    const [rowHeight, top] = [wide ? 48 : 78, 26];
    const bottom = top + rowHeight * result.contrasts.length;
    // The axis grows in steps and never shrinks below its usual span, so that it stands still while sliders move.
    const ends = result.contrasts.flatMap((row) => [row.lower, row.upper, row.predict_lower ?? 0, row.predict_upper ?? 0]);
    const { low, high, ticks, labels: marks, widest } = axis(Math.min(-1, ...ends), Math.max(1.5, ...ends), width - labelWidth, across);
    const [left, right] = [labelWidth + Math.max(8, widest / 2), width - Math.max(16, widest / 2)];
    const x = (value) => left + ((value - low) / (high - low)) * (right - left);
    const [worse, better] = ["\u2190 favours second-named", "favours first-named \u2192"];
    const oneLine = x(0) - 8 - across(worse) >= 0 && x(0) + 8 + across(better) <= width;
    const height = bottom + (oneLine ? 62 : 84);
    const svg = drawn("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", class: "explorer-forest" });
    const line = (x1, y1, x2, y2, kind) => svg.append(drawn("line", { x1, y1, x2, y2, class: kind }));
    const text = (at, y, content, kind = "", anchor = "start") =>
      svg.append(drawn("text", { x: at, y, class: kind, "text-anchor": anchor }, content));

    line(x(0), top - 6, x(0), bottom, "null-line");
    if (settings.mid > 0) {
      const together = x(settings.mid) - x(-settings.mid) < across("\u2212MID") + 4;
      for (const side of [-1, 1]) {
        if (side * settings.mid < low) continue;
        line(x(side * settings.mid), top - 6, x(side * settings.mid), bottom, "mid-line");
        if (!together) text(x(side * settings.mid), top - 12, `${side < 0 ? "\u2212" : ""}MID`, "muted", "middle");
      }
      if (together) {
        const half = across("\u00b1MID") / 2;
        text(Math.min(Math.max(x(0), half), width - half), top - 12, "\u00b1MID", "muted", "middle");
      }
    }
    line(x(low), bottom, x(high), bottom, "axis");
    ticks.forEach((tick, i) => {
      line(x(tick), bottom, x(tick), bottom + 4, "axis");
      text(x(tick), bottom + 19, marks[i], "tick", "middle");
    });
    text((x(low) + x(high)) / 2, bottom + 38, "Standardised mean difference", "", "middle");
    if (oneLine) {
      text(x(0) - 8, bottom + 57, worse, "muted", "end");
      text(x(0) + 8, bottom + 57, better, "muted");
    } else {
      text(x(low), bottom + 57, worse, "muted");
      text(x(high), bottom + 76, better, "muted", "end");
    }
    result.contrasts.forEach((row, i) => {
      const start = top + i * rowHeight;
      const y = start + (wide ? rowHeight / 2 : 58);
      const first = wide ? y - 4 : start + 22;
      if (!wide) {
        // Labels stand in the plot: what lies behind them gives way.
        const room = Math.max(...halves(row).map(across)) + 4;
        svg.append(drawn("rect", { x: 0, y: start + 8, width: room, height: 38, class: "paper" }));
      }
      text(0, first, row.treat1);
      text(0, first + 18, `against ${row.treat2}`, "muted");
      const old = before.contrasts.find((other) => other.treat1 === row.treat1 && other.treat2 === row.treat2);
      line(x(old.lower), y + 10, x(old.upper), y + 10, "before");
      svg.append(drawn("circle", { cx: x(old.te), cy: y + 10, r: 2.5, class: "before" }));
      if (row.predict_lower !== null) {
        line(x(row.predict_lower), y, x(row.predict_upper), y, "prediction");
        for (const end of [row.predict_lower, row.predict_upper]) line(x(end), y - 4, x(end), y + 4, "prediction");
      }
      const bar = drawn("line", { x1: x(row.lower), y1: y, x2: x(row.upper), y2: y, class: "confidence" });
      const dot = drawn("circle", { cx: x(row.te), cy: y, r: 4.5, class: "estimate" });
      for (const part of [bar, dot]) part.style.stroke = data.colours[row.treat2];
      svg.append(bar, dot);
    });
    svg.setAttribute(
      "aria-label",
      `Forest plot: ${result.contrasts.map((row, i) => `${labels[i]} ${number(row.te)} (${interval(row.lower, row.upper)})`).join("; ")}. The table below has the same numbers.`,
    );
    return svg;
  };

  // ---------------------------------------------------------------- the page

  const start = () => {
    const root = document.getElementById("explorer");
    const source = document.getElementById("explorer-data");
    if (!root || !source) return;
    const data = JSON.parse(source.textContent);
    window.pspsExplorer.data = data;
    const treatments = treatmentsOf(data);
    const before = compute(data, data.settings);
    const name = ({ treat1, treat2 }) => `${treat1} against ${treat2}`;
    let settings = structuredClone(data.settings);
    let refused = [];
    let result = before;
    let identifier = 0;
    const nextId = () => `explorer-${(identifier += 1)}`;

    // Controls. Each `show` below copies the settings into its control.
    const shows = [];
    const slider = ({ key, label, min = 0, max, step, digits }, hint = "", marked = {}) => {
      const id = nextId();
      const described = hint ? { "aria-describedby": `${id}-hint` } : {};
      const range = element("input", { type: "range", id, min, max, step, ...described });
      const exact = element("input", { type: "number", min, max, step: "any", "aria-label": `${label}, exact value` });
      const set = (value) => {
        settings[key] = value;
        range.value = value;
        range.setAttribute("aria-valuetext", key === "level" ? levelText(value) : number(value, digits));
        changed();
      };
      range.addEventListener("input", () => {
        exact.value = range.value;
        exact.removeAttribute("aria-invalid");
        set(Number(range.value));
      });
      exact.addEventListener("input", () => {
        const valid = exact.value.trim() !== "" && inRange({ min, max }, Number(exact.value));
        exact.toggleAttribute("aria-invalid", !valid);
        if (!valid) exact.setAttribute("aria-invalid", "true");
        else set(Number(exact.value));
      });
      exact.addEventListener("change", () => {
        exact.value = settings[key];
        exact.removeAttribute("aria-invalid");
      });
      shows.push(() => {
        range.value = settings[key];
        exact.value = settings[key];
        exact.removeAttribute("aria-invalid");
        range.setAttribute("aria-valuetext", key === "level" ? levelText(settings[key]) : number(settings[key], digits));
      });
      const parts = [element("label", { htmlFor: id, textContent: label }), element("div", { className: "explorer-pair" }, [range, exact])];
      for (const [kind, [low, high]] of Object.entries(marked)) {
        const mark = element("div", { className: `explorer-range explorer-range-${kind}`, "aria-hidden": "true" });
        mark.style.setProperty("--low", (low - min) / (max - min));
        mark.style.setProperty("--high", (high - min) / (max - min));
        parts.push(mark);
      }
      if (hint) parts.push(element("p", { className: "explorer-hint", id: `${id}-hint`, textContent: hint }));
      const group = element("div", { className: "explorer-control" }, parts);
      group.dataset.key = key;
      return group;
    };
    const bySlider = Object.fromEntries(SLIDERS.map((each) => [each.key, each]));
    const [allowedLow, allowedHigh] = data.tau2.allowed;
    const [foundLow, foundHigh] = data.tau2.found;

    const keeps = data.comparisons.map((row, i) => {
      const box = element("input", { type: "checkbox" });
      box.addEventListener("change", () => {
        settings.keep[i] = box.checked;
        changed();
      });
      shows.push(() => { box.checked = settings.keep[i]; });
      return element("label", { className: "explorer-check" }, [box, ` ${name(row)} (${row.estimates} estimates, ${row.studies} ${row.studies === 1 ? "study" : "studies"})`]);
    });

    const typed = { ...EXAMPLE };
    const use = element("input", { type: "checkbox" });
    const inputs = {};
    const problems = Object.fromEntries(["1", "2"].map((arm) =>
      [arm, element("p", { className: "explorer-problem", id: `explorer-problem-${arm}`, role: "status" })]));
    const sayProblems = (wrong) => {
      for (const [arm, place] of Object.entries(problems)) {
        const words = wrong.filter((each) => each.arm === arm).map((each) => each.words);
        place.textContent = words.length ? `The new trial is left out: ${words.join("; ")}.` : "";
      }
      const keys = wrong.flatMap((each) => each.keys);
      for (const [key, input] of Object.entries(inputs)) {
        if (keys.includes(key)) input.setAttribute("aria-invalid", "true");
        else input.removeAttribute("aria-invalid");
      }
    };
    const readTrial = () => {
      const wrong = use.checked ? trialProblems(data, typed) : [];
      settings.trial = use.checked && !wrong.length ? { ...typed } : null;
      sayProblems(wrong);
      fields.hidden = !use.checked;
      changed();
    };
    const field = (key, label, arm) => {
      const id = nextId();
      const input = key.startsWith("treat")
        ? element("select", { id, "aria-describedby": `explorer-problem-${arm}` }, treatments.map((treatment) => element("option", { value: treatment, textContent: treatment })))
        : element("input", { id, type: "number", step: key.startsWith("n") ? 1 : "any", "aria-describedby": `explorer-problem-${arm}` });
      inputs[key] = input;
      input.addEventListener("input", () => {
        typed[key] = key.startsWith("treat") ? input.value : input.value.trim() === "" ? NaN : Number(input.value);
        readTrial();
      });
      shows.push(() => { input.value = typed[key]; });
      return element("div", { className: `explorer-field explorer-field-${key.slice(0, -1)}` }, [
        element("label", { htmlFor: id }, [label, element("span", { className: "visually-hidden", textContent: ` of arm ${arm}` })]), input,
      ]);
    };
    const arms = ["1", "2"].map((arm) =>
      element("fieldset", { className: "explorer-arm" }, [
        element("legend", { textContent: `Arm ${arm}` }),
        field(`treat${arm}`, "Treatment", arm), field(`n${arm}`, "People", arm), field(`mean${arm}`, "Mean pain", arm), field(`sd${arm}`, "SD", arm),
        problems[arm],
      ]),
    );
    const fields = element("div", { className: "explorer-trial", hidden: true }, [
      element("p", { className: "explorer-hint", textContent: "The numbers to start with are made up: two arms with the same pain. Lower pain is better; any scale will do." }),
      ...arms,
    ]);
    use.addEventListener("change", readTrial);
    shows.push(() => {
      use.checked = settings.trial !== null;
      fields.hidden = settings.trial === null;
      sayProblems([]);
    });

    const button = (text, action) => {
      const made = element("button", { type: "button", textContent: text });
      made.addEventListener("click", action);
      return made;
    };
    const said = element("span", { className: "explorer-said", role: "status" });
    const say = (text) => { said.textContent = text; };
    const download = () => {
      const rows = result.status === "ok" ? result.contrasts : [];
      const names = ["treat1", "treat2", "te", "se", "lower", "upper", "predict_lower", "predict_upper", "beyond", "beyond_new"];
      const lines = [names, ...rows.map((row) => names.map((key) => row[key] ?? ""))].map((line) => line.join(","));
      const href = URL.createObjectURL(new Blob([lines.join("\n"), "\n"], { type: "text/csv;charset=utf-8" }));
      element("a", { href, download: "what-if.csv" }).click();
      setTimeout(() => URL.revokeObjectURL(href), 1000);
    };
    const toolbar = element("div", { className: "explorer-toolbar" }, [
      button("Reset", () => {
        Object.assign(typed, EXAMPLE);
        settings = structuredClone(data.settings);
        newSetting = false;
        refused = [];
        shows.forEach((each) => each());
        changed();
        say("Back to the print.");
      }),
      button("Copy link", async () => {
        try {
          writeAddress();
          await navigator.clipboard.writeText(location.href);
          say("Link copied.");
        } catch {
          say("Copy the address of this page: it holds the view.");
        }
      }),
      button("CSV", download),
      said,
    ]);

    const fieldset = (legend, children) => element("fieldset", {}, [element("legend", { textContent: legend }), ...children]);
    const behind = element("tbody");
    const behindHeads = ["comparison", "SE of one estimate", "people in a trial with that SE", "pooled SE here", "from the print"];
    // On a telephone each row is a card, and a cell says its own heading.
    const headed = (cell, head) => {
      cell.dataset.head = head;
      return cell;
    };
    const assumption = element("details", { className: "explorer-details" }, [
      element("summary", { textContent: "What this page has to assume" }),
      slider(bySlider.reference,
        `Not printed. All printed numbers together allow ${number(allowedLow, 3)} to ${number(allowedHigh, 3)}; the sets of trial-level estimates that agree with them have ${number(foundLow, 3)} to ${number(foundHigh, 3)}. The bars below the slider show both.`,
        data.tau2),
      element("div", { className: "table-wrap", role: "region", tabIndex: 0, "aria-label": "What the assumption means for each comparison" },
        element("table", { className: "psps psps-rows" }, [
          element("caption", { textContent: "What it means for each comparison, if its estimates are equally precise (trial: two equal parallel arms)" }),
          element("thead", {}, element("tr", {}, behindHeads.map((text) => element("th", { scope: "col", textContent: text })))),
          behind,
        ])),
    ]);
    // Questions: each is a button that changes what it asks about, and rewrites the sentence below.
    let newSetting = false; // whether the sentence is about a new setting
    const small = Math.round(50 * data.settings.mid) / 100;
    const questions = [
      { text: "Count each study once", told: "each study counted once", on: () => settings.rho === 1, set: (on) => { settings.rho = on ? 1 : data.settings.rho; } },
      { text: "A new setting", told: "in a new setting", on: () => newSetting, set: (on) => { newSetting = on; } },
      { text: "A smaller important difference", told: `${number(small)} taken as important`, on: () => settings.mid === small, set: (on) => { settings.mid = on ? small : data.settings.mid; } },
      ...data.comparisons.map((row, i) => (
        { text: `Without ${name(row)}`, told: `without ${name(row)}`, on: () => !settings.keep[i], set: (on) => { settings.keep[i] = !on; } })),
    ];
    const asked = element("div", { className: "explorer-questions", role: "group", "aria-label": "What if" }, questions.map((question) => {
      const made = element("button", { type: "button", textContent: question.text });
      made.addEventListener("click", () => {
        question.set(!question.on());
        shows.forEach((each) => each());
        changed();
      });
      return made;
    }));

    const controls = element("form", { className: "explorer-controls" }, [
      fieldset("Assumptions", [
        slider(bySlider.tau2),
        slider(bySlider.rho, "0: each estimate counts in full, as in the article. 1: all estimates of a study count as one."),
        slider(bySlider.prior, "Of the Bayesian table alone, which takes no τ² as given."),
      ]),
      fieldset("What counts", [slider(bySlider.mid), slider(bySlider.level)]),
      fieldset("Comparisons in the network", keeps),
      fieldset("A new trial", [element("label", { className: "explorer-check" }, [use, " Add a trial"]), fields]),
      toolbar,
    ]);
    controls.addEventListener("submit", (event) => event.preventDefault());

    // Results.
    const summary = element("p", { className: "explorer-summary", role: "status", "aria-live": "polite" });
    const notices = element("p", { className: "explorer-notice" });
    const badges = element("p", { className: "explorer-badges" });
    const plot = element("div", { className: "explorer-plot" });
    const legend = element("p", { className: "explorer-legend" });
    const tables = element("div");
    const shown = element("div", { className: "explorer-results" }, [badges, plot, legend, tables]);
    const layout = element("div", { className: "explorer-layout" }, [asked, summary, notices, controls, assumption, shown]);

    const moved = () => SLIDERS.some(({ key }) => !["mid", "level", "prior"].includes(key) && settings[key] !== data.settings[key])
      || settings.keep.includes(false) || settings.trial !== null;

    const message = () => {
      if (result.status === "incompatible") {
        const wrong = result.comparisons.filter((row) => !(row.variance > 0));
        const why = settings.reference > allowedHigh
          ? `All printed numbers together allow at most ${number(allowedHigh, 3)}.`
          : "The standard errors used here are the middle of what the print leaves open; a little more would fit at its edge.";
        return `Not compatible with the print: with a τ² of ${number(settings.reference, 3)} behind the printed intervals, the estimates of ${wrong.map(name).join(" and of ")} would have a negative sampling variance. ${why} Nothing can be computed from it.`;
      }
      if (result.status === "empty") return "No comparison is left. Keep one, or add a trial.";
      return `What is left falls apart into ${result.parts.map((part) => part.join(" and ")).join("; and ")}. No path connects them, so nothing compares across. Keep another comparison, or let the new trial connect them.`;
    };

    const table = (caption, tier, heads, rows) =>
      element("div", { className: "table-wrap", role: "region", tabIndex: 0, "aria-label": caption },
        element("table", { className: "psps psps-rows" }, [
          element("caption", {}, [...[...new Set(tier)].map(badge).flatMap((each) => [each, " "]), caption]),
          element("thead", {}, element("tr", {}, heads.map((text) => element("th", { scope: "col", textContent: text })))),
          element("tbody", {}, rows.map(([head, ...cells]) =>
            element("tr", {}, [element("th", { scope: "row", textContent: head }), ...cells.map((cell, column) =>
              headed(cell instanceof Node ? cell : element("td", { className: "number", textContent: cell }), heads[column + 1]))]))),
        ]));

    const rankCell = (share) => {
      const cell = element("td", { className: "number explorer-share", textContent: percent(share) });
      cell.style.setProperty("--share", share);
      return cell;
    };

    const drawForest = () => {
      if (result.status !== "ok") return;
      plot.replaceChildren(forest(data, result, before, settings, Math.floor(plot.clientWidth)));
    };

    const render = () => {
      notices.textContent = refused.length ? `Not understood in the link, and left as it was: ${refused.join(", ")}.` : "";
      shown.hidden = result.status !== "ok";
      behind.replaceChildren(...result.comparisons.map((row, i) => element("tr", {}, [
        element("th", { scope: "row", textContent: name(row) }),
        ...(row.variance > 0
          ? [number(Math.sqrt(row.variance)), (4 / row.variance).toFixed(0), number(row.se, 3)]
          : ["not possible", "none", "not known"]
        ).map((text, column) => headed(element("td", { className: "number", textContent: text }), behindHeads[column + 1])),
        headed(element("td", { className: "number", textContent: number(data.comparisons[i].se, 3) }), behindHeads[4]),
      ])));
      if (result.status !== "ok") return;
      const base = moved() ? "simulated" : "implied";
      badges.replaceChildren("Intervals of confidence and ranks: ", badge(base), ". Prediction intervals: ", badge("simulated"), ".");
      drawForest();
      legend.textContent = `Coloured: estimate and ${levelText(settings.level)} confidence interval. Thin with ends: prediction interval. Grey below: before any change, ${levelText(data.settings.level)}.`
        + (settings.mid > 0 ? " Dashed: minimal important difference (MID)." : "");
      const order = result.treatments.map((_, i) => i).sort((a, b) => result.p_scores[b] - result.p_scores[a]);
      const mid = number(settings.mid);
      const parts = [
        table(`Effects (first minus second, above 0 favours the first), ${levelText(settings.level)} intervals`, [base, "simulated"],
          ["pair", "SMD", "confidence interval", "prediction interval", `chance above ${mid}`, `the same in a new study`],
          result.contrasts.map((row) => [name(row), number(row.te), interval(row.lower, row.upper), interval(row.predict_lower, row.predict_upper), percent(row.beyond), percent(row.beyond_new)])),
        table("Ranking, best first", [base],
          ["treatment", "P-score", "before", `P-score for more than ${mid}`, "mean rank", ...order.map((_, i) => `rank ${i + 1}`)],
          order.map((i) => [result.treatments[i], number(result.p_scores[i], 3),
            number(before.p_scores[before.treatments.indexOf(result.treatments[i])], 3), number(result.p_scores_mid[i], 3),
            number(result.mean_ranks[i]), ...result.ranks[i].map(rankCell)])),
      ];
      parts.push(table(`Bayesian model, τ averaged out (on average ${number(result.bayes.tau_mean)}), ${levelText(settings.level)} credible intervals`, ["simulated"],
        ["pair", "SMD", "credible interval", `chance above ${mid}`, "the same in a new study"],
        result.bayes.contrasts.map((row) => [name(row), number(row.te), interval(row.lower, row.upper), percent(row.beyond), percent(row.beyond_new)])));
      const gone = treatments.filter((treatment) => !result.treatments.includes(treatment));
      if (gone.length) parts.push(element("p", { className: "psps-note", textContent: `Not in this network: ${gone.join(", ")}.` }));
      if (result.trial) {
        const { te, se, difference, p } = result.trial;
        const own = `The new trial by itself: ${name(settings.trial)} ${number(te)} (SE ${number(se)}).`;
        const against = difference === null
          ? " Nothing else compares its two arms."
          : ` It differs from what the network says without it by ${number(difference)} (p ${pText(p).startsWith("<") ? "" : "= "}${pText(p)}).`;
        parts.push(element("p", { className: "psps-note", textContent: own + against }));
      }
      tables.replaceChildren(...parts);
    };

    const summarise = () => {
      if (result.status !== "ok") return message();
      const told = questions.filter((question) => question.on()).map((question) => question.told);
      const when = told.length ? `${told[0][0].toUpperCase()}${told.join(", ").slice(1)}: ` : moved() ? "With your changes: " : "As printed: ";
      const first = result.contrasts[0];
      const known = first.predict_lower !== null;
      const [low, high] = newSetting && known ? [first.predict_lower, first.predict_upper] : [first.lower, first.upper];
      const good = data.desirable === "higher" ? [low, high] : [-high, -low];
      const verdict = good[0] > 0 ? "better" : good[1] < 0 ? "worse" : newSetting && known ? "may help there or not" : "no clear difference";
      const chance = newSetting && known ? first.beyond_new : first.beyond;
      return `${when}${name(first)}, SMD ${number(first.te)} (${interval(low, high)}): ${verdict}. `
        + (newSetting && !known ? "No estimates are left to say how settings differ. " : "")
        + `The chance that it is above ${number(settings.mid)}, the smallest difference taken as important, is ${percent(chance)}`
        + (newSetting || !known ? "." : `; a new study would lie in ${interval(first.predict_lower, first.predict_upper)}.`);
    };

    // A view takes the place of a heading in the address: only so does a reload, or a copied link, lead back to it.
    function writeAddress() {
      const address = [toAddress(data, settings), newSetting ? "setting=new" : ""].filter(Boolean).join("&");
      const isView = location.hash.includes("=");
      if (address || isView) history.replaceState(null, "", address ? `#${address}` : location.pathname + location.search);
    }

    let later;
    function changed() {
      result = compute(data, settings);
      asked.querySelectorAll("button").forEach((made, i) => made.setAttribute("aria-pressed", String(questions[i].on())));
      render();
      say("");
      clearTimeout(later);
      // Announced and written to the address once the hand rests.
      later = setTimeout(() => {
        summary.textContent = summarise();
        summary.classList.toggle("explorer-notice", result.status !== "ok");
        writeAddress();
      }, 250);
    }

    const restore = () => {
      ({ settings, refused } = fromAddress(data, location.hash.includes("=") ? location.hash.slice(1) : ""));
      newSetting = new URLSearchParams(location.hash.slice(1)).get("setting") === "new";
      Object.assign(typed, settings.trial ?? EXAMPLE);
      shows.forEach((each) => each());
      changed();
    };

    root.replaceChildren(layout);
    // An address without "=" leads to a heading of the page, not to a view: the reader is there, the view stays.
    window.addEventListener("hashchange", () => {
      if (location.hash.includes("=")) restore();
      else writeAddress();
    });
    restore();
    new ResizeObserver(drawForest).observe(plot);
  };

  window.pspsExplorer = { compute, toAddress, fromAddress, ndtr, ndtri, stdtr, tQuantile, smallSampleFactor };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
