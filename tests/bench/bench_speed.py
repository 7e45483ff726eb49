"""How long one look takes for 1,000 routes, and how large an attempt's state is: `python -m tests.bench.bench_speed`.

Each route has four objectives, one of them latency with 7 boundaries, and one candidate. Bounds: 250 ms, 8 kB. CPU time
is measured, so that a busy machine does not count; numpy uses one thread here.
"""

from __future__ import annotations

import time

import numpy as np

from modelroute.analysis.design import Comparison, Design, Objective, Outcomes, Window
from modelroute.analysis.engine import advance_all, assess_all, encode, start

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
    folding, looking = [], []
    for look in range(LOOKS):
        windows = [window(chance, look) for _ in range(ROUTES)]
        began = time.process_time()
        states = advance_all(zip([DESIGN] * ROUTES, states, windows, strict=True))
        folded = time.process_time()
        assess_all((DESIGN, state) for state in states)
        folding.append(folded - began)
        looking.append(time.process_time() - folded)
    size = max(len(encode(state).encode()) for state in states)
    print(f"fold in one window of {ROUTES:,} routes: {1e3 * float(np.median(folding)):.0f} ms (median of {LOOKS})")
    print(f"assess {ROUTES:,} routes: {1e3 * float(np.median(looking)):.0f} ms")
    print(f"state of one attempt: {size:,} bytes")


if __name__ == "__main__":
    main()
