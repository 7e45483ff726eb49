"""Fit the load generator's distributions to the Azure LLM inference trace 2023 (conversation).

    python hack/fit_trace.py azure-llm-trace-conv.csv.gz

prints the constants that stand in hack/devstack/arrivals.py, and beside them what the trace shows, so
that anyone who has the trace (Patel et al., "Splitwise: Efficient generative LLM inference using phase
splitting", ISCA 2024, CC-BY 4.0) can make them again. What was tried, and why these families:

Tokens. The prompt and the answer both have several sharp modes (prompts near 200, 400, 1,080 and 4,080
tokens, answers near 90 and 400), as if a few applications with templates of their own sent them; one
log-normal misses the answers' distribution by 0.18 (Kolmogorov distance). A rank correlation of 0.07 hides
that the answer's median is 395 tokens for prompts of 1,000 to 1,500 and 50 for prompts of 3,800 to 4,090.
So: a mixture of two-dimensional log-normals, by expectation-maximisation, with the fewest clusters that
come within 0.035 for prompts and for answers. Not modelled: over the hour the mix of clusters drifts a
little (the answers' logarithms have an autocorrelation of 0.1 at every lag).

Arrivals. Gaps between requests have a coefficient of variation of 1.09, yet counts per minute vary 16
times as much as Poisson counts would, and counts per 5 minutes 62 times: the rate itself wanders.
Independent gaps, gamma or other, cannot do that. So: Poisson arrivals with a rate that is the product of
two log-normal Ornstein-Uhlenbeck processes, a slow and a fast one, fitted to the excess variance of
counts at window lengths of 0.25 to 300 s. An hour says little about swings of many minutes: the slow
one's variance is a rough figure.
"""

import argparse
import csv
import gzip
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

Floats = npt.NDArray[np.float64]

WINDOWS_S = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
WIDEST_GAP = 0.035
MOST_CLUSTERS = 12
NARROWEST_SD = 0.03  # of a logarithm: keeps a cluster from shrinking onto one repeated value


@dataclass(frozen=True, slots=True)
class Trace:
    """The trace as columns: seconds since its first request, prompt tokens, generated tokens."""

    at_s: Floats
    prompt_tokens: Floats
    generated_tokens: Floats

    @property
    def rate(self) -> float:
        """Requests a second over the whole trace."""
        return (len(self.at_s) - 1) / float(self.at_s[-1] - self.at_s[0])


@dataclass(frozen=True, slots=True)
class Mixture:
    """k clusters of (log prompt, log generated): shares (k,), means (k, 2), covariances (k, 2, 2)."""

    shares: Floats
    means: Floats
    covariances: Floats

    def log_joint(self, points: Floats) -> Floats:
        """log(share × density) of every point (n, 2) under every cluster: (n, k)."""
        columns = []
        for share, mean, covariance in zip(self.shares, self.means, self.covariances, strict=True):
            factor = np.linalg.cholesky(covariance)
            z = np.linalg.solve(factor, (points - mean).T)
            log_norm = np.log(2 * np.pi) + np.log(np.diag(factor)).sum()
            columns.append(np.log(share) - log_norm - 0.5 * (z**2).sum(axis=0))
        return np.stack(columns, axis=1)

    def sample(self, count: int, rng: np.random.Generator) -> Floats:
        """Token counts (count, 2), whole and at least 1."""
        cluster = rng.choice(len(self.shares), size=count, p=self.shares)
        factors = np.linalg.cholesky(self.covariances)[cluster]
        points = self.means[cluster] + np.einsum("nij,nj->ni", factors, rng.standard_normal((count, 2)))
        return np.asarray(np.maximum(np.round(np.exp(points)), 1.0))


def read_trace(path: Path) -> Trace:
    """Read the published csv.gz (columns TIMESTAMP, ContextTokens, GeneratedTokens)."""
    with gzip.open(path, "rt", newline="") as lines:
        rows = list(csv.DictReader(lines))
    # Seven decimals are published, datetime keeps six.
    at = np.array([datetime.fromisoformat(row["TIMESTAMP"][:26]).timestamp() for row in rows])
    return Trace(
        at - at[0],
        np.array([float(row["ContextTokens"]) for row in rows]),
        np.array([float(row["GeneratedTokens"]) for row in rows]),
    )


def distance(one: Floats, other: Floats) -> float:
    """Kolmogorov's: the largest difference between two empirical distribution functions."""
    values = np.union1d(one, other)
    ranks = [np.searchsorted(np.sort(x), values, side="right") / len(x) for x in (one, other)]
    return float(np.abs(ranks[0] - ranks[1]).max())


def excess_variance(at_s: Floats, window_s: float) -> float:
    """(variance − mean) / mean² of counts per window: the variance of the relative rate over windows.

    0 for Poisson arrivals of a constant rate.
    """
    edges = np.arange(0.0, at_s[-1], window_s)
    counts = np.histogram(at_s, edges)[0]
    return float((counts.var(ddof=1) - counts.mean()) / counts.mean() ** 2)


def averaged(window_over_correlation: Floats) -> Floats:
    """What averaging over a window leaves of the variance of a process with exponential autocorrelation."""
    x = window_over_correlation
    return np.asarray(2 * (x - 1 + np.exp(-x)) / x**2)


def visible(variance: float, correlation_s: float, windows_s: Floats, length_s: float) -> Floats:
    """The excess variance that one trace of `length_s` shows, on average, of a swing of the rate.

    A trace is compared with its own mean, which hides what swings more slowly than the trace is long.
    """
    hidden = averaged(np.asarray(length_s / correlation_s))
    return np.asarray(variance * (averaged(windows_s / correlation_s) - hidden))


def fit_swings(trace: Trace) -> list[tuple[float, float]]:
    """(relative variance, correlation time in s) of the slow and of the fast swing of the rate."""
    windows = np.array(WINDOWS_S)
    seen = np.array([excess_variance(trace.at_s, w) for w in WINDOWS_S])

    def residuals(logs: Floats) -> Floats:
        slow, slow_s, fast, fast_s = np.exp(logs)
        expected = visible(slow, slow_s, windows, trace.at_s[-1]) + fast * averaged(windows / fast_s)
        return np.asarray(expected / seen - 1)

    found = np.exp(least_squares(residuals, np.log([0.05, 300.0, 0.03, 2.0])).x)
    return [(float(found[0]), float(found[1])), (float(found[2]), float(found[3]))]


def fit_mixture(points: Floats, clusters: int, rng: np.random.Generator) -> tuple[float, Mixture]:
    """Expectation-maximisation from one random start: (mean log-likelihood, mixture)."""
    centres = points[rng.integers(len(points))][None, :]
    while len(centres) < clusters:  # k-means++: far from what is there already
        nearest = ((points[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2).min(axis=1)
        centres = np.vstack([centres, points[rng.choice(len(points), p=nearest / nearest.sum())]])
    mixture = Mixture(np.full(clusters, 1 / clusters), centres, np.array([np.cov(points.T) / clusters] * clusters))
    likelihood = -np.inf
    for _ in range(300):
        log_joint = mixture.log_joint(points)
        log_density = np.logaddexp.reduce(log_joint, axis=1)
        if log_density.mean() - likelihood < 1e-6:
            break
        likelihood = float(log_density.mean())
        belongs = np.exp(log_joint - log_density[:, None])
        sizes = belongs.sum(axis=0)
        means = (belongs.T @ points) / sizes[:, None]
        apart = points[:, None, :] - means[None, :, :]
        covariances = np.einsum("nk,nki,nkj->kij", belongs, apart, apart) / sizes[:, None, None]
        mixture = Mixture(sizes / len(points), means, covariances + NARROWEST_SD**2 * np.eye(2))
    return likelihood, mixture


def fit_tokens(trace: Trace, seed: int) -> tuple[Mixture, float, float]:
    """The smallest mixture that fits, with its distances for prompts and for answers."""
    points = np.log(np.stack([trace.prompt_tokens, trace.generated_tokens], axis=1))
    for clusters in range(1, MOST_CLUSTERS + 1):
        rng = np.random.default_rng([seed, clusters])
        starts = [fit_mixture(points, clusters, rng) for _ in range(3)]
        mixture = max(starts, key=lambda start: start[0])[1]
        drawn = mixture.sample(200_000, rng)
        prompts = distance(trace.prompt_tokens, drawn[:, 0])
        answers = distance(trace.generated_tokens, drawn[:, 1])
        print(f"# {clusters:2d} clusters: distance {prompts:.3f} for prompts, {answers:.3f} for answers")
        if max(prompts, answers) <= WIDEST_GAP:
            break
    return mixture, prompts, answers


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("trace", type=Path, help="azure-llm-trace-conv.csv.gz, as published")
    parser.add_argument("--seed", type=int, default=2023, help="for the random starts (default 2023)")
    arguments = parser.parse_args()

    trace = read_trace(arguments.trace)
    gaps = np.diff(trace.at_s)
    variation = gaps.std() / gaps.mean()
    print(f"# {len(trace.at_s)} requests in {trace.at_s[-1]:.0f} s; gaps' variation {variation:.3f}")
    mixture, _, _ = fit_tokens(trace, arguments.seed)

    print(f"TRACE_RATE = {trace.rate:.4f}")
    print(f"MOST_PROMPT_TOKENS = {trace.prompt_tokens.max():.0f}")
    print(f"MOST_GENERATED_TOKENS = {trace.generated_tokens.max():.0f}")
    print("SWINGS = (")
    for variance, correlation_s in fit_swings(trace):
        print(f"    Swing({variance:.4f}, {correlation_s:.2f}),")
    print(")\nCLUSTERS = (")
    for j in np.argsort(-mixture.shares):
        sd = np.sqrt(np.diag(mixture.covariances[j]))
        correlation = mixture.covariances[j, 0, 1] / (sd[0] * sd[1])
        row = (mixture.shares[j], *mixture.means[j], *sd, correlation)
        print(f"    Cluster({', '.join(f'{value:.4f}' for value in row)}),")
    print(")")


if __name__ == "__main__":
    main()
