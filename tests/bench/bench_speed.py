"""How long one look takes for 1,000 routes, and how large an attempt's state is: `python -m tests.bench.bench_speed`.

Each route has four objectives, one of them latency with 7 boundaries, and one candidate. Bounds: 250 ms for all of them
at once, 8 kB. The operator's ticks look at one route at a time, which is told beside it. CPU time is measured, so that
a busy machine does not count; numpy uses one thread here.
"""

from __future__ import annotations

import time

import numpy as np

from modelroute.analysis.design import Comparison, Design, Objective, Outcomes, Window
from modelroute.analysis.engine import advance, advance_all, assess, assess_all, encode, start

ROUTES, LOOKS = 1_000, 12
OBJECTIVES = (
    Objective("slow", ratio=1.2, boundaries=7, prior_rate=0.05),
    *(Objective(name, margin=0.01) for name in ("errors", "unsafe", "dear")),
)
DESIGN = Design(OBJECTIVES, (Comparison("new", "old"),), checks_split=True)


def window(chance: np.random.Generator, look: int) -> Window:
    outcomes, completions = {}, {}
    for arm, total in (("new", int(chance.integers(80, 120))), ("old", int(chance.integers(800, 1_000)))):
        completions[arm] = float(total)
        for objective in OBJECTIVES:
            bad = np.sort(chance.binomial(total, 0.05, objective.boundaries))[::-1].astype(float)
            outcomes[objective.name, arm] = Outcomes(float(total), tuple(bad.tolist()), float(bad[0]))
    return Window(15.0 * look, 15.0 * look + 15, outcomes, {"new": 0.1, "old": 0.9}, True, completions)


def main() -> None:
    chance = np.random.default_rng(1)
    states = [start(DESIGN)] * ROUTES
    together, alone = [], []
    for look in range(LOOKS):
        windows = [window(chance, look) for _ in range(ROUTES)]
        before = states
        began = time.process_time()
        states = advance_all(zip([DESIGN] * ROUTES, before, windows, strict=True))
        assess_all((DESIGN, state) for state in states)
        together.append(time.process_time() - began)
        began = time.process_time()
        for state, each in zip(before, windows, strict=True):
            assess(DESIGN, advance(DESIGN, state, each))
        alone.append(time.process_time() - began)
    size = max(len(encode(state).encode()) for state in states)
    median, ratio = float(np.median(together)), float(np.median(np.divide(alone, together)))
    print(f"a look at {ROUTES:,} routes at once, advance and assess: {1e3 * median:.0f} ms (median of {LOOKS})")
    print(f"one after the other, as ticks do: {ratio:.1f} times that")
    print(f"state of one attempt: {size:,} bytes")


if __name__ == "__main__":
    main()
