"""The drawn arrivals, and whether they look like the trace that they were fitted to."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from devstack.arrivals import (
    MOST_GENERATED_TOKENS,
    MOST_PROMPT_TOKENS,
    SWINGS,
    TRACE_RATE,
    arrival_times,
    arrivals,
    token_counts,
)
from fit_trace import Floats, Trace, distance, excess_variance, read_trace, visible

TRACE_S = 3501.7
PUBLISHED = Path(__file__).parents[3] / "shared" / "data" / "azure-llm-trace-conv.csv.gz"


@pytest.fixture(scope="module")
def trace() -> Trace:
    if not PUBLISHED.exists():
        pytest.skip("the fit is not checked: ../shared/data/azure-llm-trace-conv.csv.gz is not here")
    return read_trace(PUBLISHED)


@pytest.fixture(scope="module")
def drawn_tokens() -> Floats:
    return np.array(list(islice(token_counts(np.random.default_rng(11)), 40_000)), dtype=float)


def test_the_same_seed_gives_the_same_arrivals():
    one = list(arrivals(rate=60, duration_s=5, seed=7))

    assert one == list(arrivals(rate=60, duration_s=5, seed=7))
    assert one != list(arrivals(rate=60, duration_s=5, seed=8))


def test_arrivals_are_in_order_and_within_the_duration():
    offsets = [arrival.offset_s for arrival in arrivals(rate=60, duration_s=30, seed=1)]

    assert offsets == sorted(offsets)
    assert offsets[0] >= 0
    assert offsets[-1] < 30


def test_the_rate_is_the_asked_one_in_the_long_run():
    counts = [sum(1 for _ in arrivals(rate=60, duration_s=300, seed=seed)) for seed in range(8)]

    assert np.mean(counts) == pytest.approx(60 * 300, rel=0.08)


def test_a_higher_rate_runs_the_same_traffic_faster():
    slow = list(islice(arrivals(rate=50, duration_s=60, seed=3), 500))
    fast = list(islice(arrivals(rate=100, duration_s=60, seed=3), 500))

    assert [2 * a.offset_s for a in fast] == pytest.approx([a.offset_s for a in slow])
    assert [a.prompt_tokens for a in fast] == [a.prompt_tokens for a in slow]


def test_token_counts_are_whole_positive_and_bounded(drawn_tokens):
    assert drawn_tokens.min() >= 1
    assert drawn_tokens[:, 0].max() <= MOST_PROMPT_TOKENS
    assert drawn_tokens[:, 1].max() <= MOST_GENERATED_TOKENS


@pytest.mark.parametrize(("rate", "duration_s"), [(0, 1), (-1, 1), (float("nan"), 1), (60, -1)])
def test_a_rate_or_duration_that_makes_no_sense_is_refused(rate, duration_s):
    with pytest.raises(ValueError, match="rate must be above 0"):
        next(arrivals(rate=rate, duration_s=duration_s, seed=0))


@pytest.mark.parametrize(("column", "tokens"), [(0, "prompt_tokens"), (1, "generated_tokens")])
def test_token_counts_are_distributed_as_in_the_trace(trace, drawn_tokens, column, tokens):
    published = getattr(trace, tokens)

    assert distance(published, drawn_tokens[:, column]) < 0.045
    for quantile, tolerance in [(0.25, 0.1), (0.5, 0.1), (0.75, 0.15), (0.95, 0.1), (0.99, 0.15)]:
        expected = np.quantile(published, quantile)
        assert np.quantile(drawn_tokens[:, column], quantile) == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize(("low", "high"), [(200, 500), (1000, 1500), (3800, 4500)])
def test_answers_depend_on_the_prompts_length_as_in_the_trace(trace, drawn_tokens, low, high):
    published = trace.generated_tokens[(trace.prompt_tokens >= low) & (trace.prompt_tokens < high)]
    drawn = drawn_tokens[(drawn_tokens[:, 0] >= low) & (drawn_tokens[:, 0] < high), 1]

    assert np.median(drawn) == pytest.approx(np.median(published), rel=0.2)


def expected_excess(window_s: float) -> float:
    """What a trace as long as the published one shows on average, by the fit."""
    return sum(float(visible(s.variance, s.correlation_s, np.array(window_s), TRACE_S)) for s in SWINGS)


def test_the_fitted_swings_explain_the_traces_overdispersion_at_every_scale(trace):
    for window_s in (1.0, 5.0, 30.0, 60.0, 300.0):
        assert expected_excess(window_s) == pytest.approx(excess_variance(trace.at_s, window_s), rel=0.1)
    assert pytest.approx(trace.rate, rel=1e-3) == TRACE_RATE


def test_drawn_arrivals_are_as_overdispersed_as_the_fit_says():
    # Sixteen draws of the trace's length: one says little about a swing that remembers for six minutes.
    draws = [np.array(list(islice(arrival_times(np.random.default_rng(s)), 19_366))) for s in range(16)]

    for window_s in (1.0, 10.0, 60.0):
        drawn = np.mean([excess_variance(at_s, window_s) for at_s in draws])
        assert drawn == pytest.approx(expected_excess(window_s), rel=0.25)
    variation = np.mean([np.diff(at_s).std() / np.diff(at_s).mean() for at_s in draws])
    assert variation == pytest.approx(1.094, rel=0.03)
