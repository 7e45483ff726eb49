"""The multinomial test of auditors, against sums and products done one request at a time."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from modelroute.analysis.shares import always_valid_p, log_e_shares


def one_by_one(requests: list[int], shares: list[float]) -> float:
    """Predict each request from those before it (Pólya's urn) and compare with the null's probability."""
    urn = [100 * share for share in shares]
    log_e = 0.0
    for arm in requests:
        log_e += math.log(urn[arm] / sum(urn)) - math.log(shares[arm])
        urn[arm] += 1
    return log_e


def test_it_is_the_product_of_the_predictions_one_request_at_a_time() -> None:
    shares, requests = [0.2, 0.3, 0.5], [0, 1, 2, 2, 2, 0, 1, 1, 2, 2, 0, 0]
    counts = [[requests[:6].count(arm) for arm in range(3)], [requests[6:].count(arm) for arm in range(3)]]

    found = log_e_shares(counts, shares)

    assert found == pytest.approx([one_by_one(requests[:6], shares), one_by_one(requests, shares)], abs=1e-9)


def test_under_the_null_its_expectation_is_one() -> None:
    shares, n = [0.1, 0.3, 0.6], 6
    total = 0.0
    for counts in itertools.product(range(n + 1), repeat=3):
        if sum(counts) == n:
            ways = math.factorial(n) / math.prod(math.factorial(count) for count in counts)
            chance = ways * math.prod(share**count for share, count in zip(shares, counts, strict=True))
            total += chance * math.exp(float(log_e_shares([counts], shares)[0]))

    assert total == pytest.approx(1.0, abs=1e-9)


def test_a_split_that_is_not_the_one_asked_for_is_found_and_p_never_rises() -> None:
    log_e = log_e_shares([[130, 870]] * 30, [0.1, 0.9])
    p = always_valid_p(log_e)

    assert log_e[-1] > math.log(20)
    assert np.all(np.diff(p) <= 0)
    assert p[-1] == pytest.approx(math.exp(-float(log_e.max())))
    assert np.all(always_valid_p(log_e_shares([[100, 900]] * 30, [0.1, 0.9])) == 1)


def test_ten_million_requests_are_finite() -> None:
    assert np.all(np.isfinite(log_e_shares([[10**7, 0], [0, 10**7]], [0.001, 0.999])))
