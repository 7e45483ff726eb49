"""When requests arrive and how long they are: drawn from distributions fitted to production traffic.

The source is the conversation half of the Azure LLM inference trace 2023 (19,366 requests in 58 minutes;
Patel et al., "Splitwise: Efficient generative LLM inference using phase splitting", ISCA 2024; CC-BY
4.0). hack/fit_trace.py prints the constants below from the published file and says why these families.
The trace itself is not kept here.

Pure: the same seed, rate and length give the same arrivals.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cluster:
    """One kind of request: its share, and a log-normal of (prompt, generated) tokens."""

    share: float
    log_prompt: float
    log_generated: float
    sd_log_prompt: float
    sd_log_generated: float
    correlation: float


@dataclass(frozen=True, slots=True)
class Swing:
    """How the rate wanders: the variance of rate / mean rate, and how long it remembers (trace seconds)."""

    variance: float
    correlation_s: float


TRACE_RATE = 5.5301
"""Requests a second in the trace; another rate is had by letting its clock run faster or slower."""

MOST_PROMPT_TOKENS = 14050
MOST_GENERATED_TOKENS = 1000

SWINGS = (
    Swing(0.0611, 376.60),
    Swing(0.0377, 0.44),
)
CLUSTERS = (
    Cluster(0.2842, 6.9783, 6.0061, 0.0758, 0.0585, -0.0068),
    Cluster(0.2469, 5.9903, 4.5378, 0.0532, 0.2563, 0.3165),
    Cluster(0.1655, 7.4025, 4.4207, 0.5482, 0.4098, 0.0928),
    Cluster(0.0986, 5.2943, 4.9580, 0.0948, 0.4267, -0.2740),
    Cluster(0.0762, 8.3154, 4.0366, 0.0320, 0.4971, -0.0033),
    Cluster(0.0477, 6.9866, 6.2780, 0.0756, 0.1854, 0.0719),
    Cluster(0.0346, 7.1848, 5.1751, 0.0328, 0.2040, 0.0052),
    Cluster(0.0258, 3.8408, 4.9885, 1.1558, 0.3660, 0.3244),
    Cluster(0.0205, 5.3312, 2.7463, 0.5049, 0.2035, 0.3893),
)

CELL_S = 0.1  # trace seconds in which the rate is taken as constant: well below the shortest memory
CELLS_AT_ONCE = 256
TOKENS_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request to send: `offset_s` seconds after the start, with that many tokens in and out."""

    offset_s: float
    prompt_tokens: int
    generated_tokens: int


def arrivals(*, rate: float, duration_s: float, seed: int) -> Iterator[Arrival]:
    """Arrivals in order of time, before `duration_s`, at `rate` > 0 requests a second on average.

    Any one stretch has more or less than `rate` × `duration_s` of them: the rate swings, as in the trace.
    Tokens do not depend on the rate: the n-th request of a seed is the same at any rate.
    """
    if not (rate > 0 and duration_s >= 0):
        raise ValueError(f"rate must be above 0 and duration at least 0 s, not {rate} and {duration_s}")
    shrink = rate / TRACE_RATE
    pairs = token_counts(np.random.default_rng([seed, 0]))
    for at_s in arrival_times(np.random.default_rng([seed, 1])):
        offset_s = at_s / shrink
        if offset_s >= duration_s:
            return
        yield Arrival(offset_s, *next(pairs))


def token_counts(rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    """(prompt, generated) token counts without end; longer ones than the trace has are drawn again."""
    shares = np.array([c.share for c in CLUSTERS])
    means = np.array([(c.log_prompt, c.log_generated) for c in CLUSTERS])
    sds = np.array([(c.sd_log_prompt, c.sd_log_generated) for c in CLUSTERS])
    correlations = np.array([c.correlation for c in CLUSTERS])
    while True:
        cluster = rng.choice(len(CLUSTERS), size=TOKENS_AT_ONCE, p=shares / shares.sum())
        z = rng.standard_normal((TOKENS_AT_ONCE, 2))
        r = correlations[cluster]
        z[:, 1] = r * z[:, 0] + np.sqrt(1 - r**2) * z[:, 1]
        drawn = np.maximum(np.rint(np.exp(means[cluster] + sds[cluster] * z)), 1).astype(int)
        for prompt, generated in drawn.tolist():
            if prompt <= MOST_PROMPT_TOKENS and generated <= MOST_GENERATED_TOKENS:
                yield prompt, generated


def arrival_times(rng: np.random.Generator) -> Iterator[float]:
    """Seconds of the trace's clock, rising without end: Poisson arrivals with a rate that swings."""
    # A log-normal of relative variance v is exp of a normal of variance log(1 + v).
    variances = np.log1p([swing.variance for swing in SWINGS])
    sds = np.sqrt(variances)
    keeps = np.exp([-CELL_S / swing.correlation_s for swing in SWINGS])
    kicks = sds * np.sqrt(1 - keeps**2)
    states: Floats = sds * rng.standard_normal(len(SWINGS))
    start_s = 0.0
    while True:
        shocks = rng.standard_normal((CELLS_AT_ONCE, len(SWINGS))) * kicks
        logs = np.empty(CELLS_AT_ONCE)
        for cell in range(CELLS_AT_ONCE):
            logs[cell] = states.sum()
            states = keeps * states + shocks[cell]
        expected = TRACE_RATE * CELL_S * np.exp(logs - variances.sum() / 2)
        cells = np.repeat(np.arange(CELLS_AT_ONCE), rng.poisson(expected))
        yield from (start_s + CELL_S * np.sort(cells + rng.random(len(cells)))).tolist()
        start_s += CELLS_AT_ONCE * CELL_S
