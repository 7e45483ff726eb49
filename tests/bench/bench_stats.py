"""`make bench-stats`: how often the engine is wrong, how soon it is right, and how others do on the same rollouts.

    python -m tests.bench.bench_stats                  # about 3 minutes on one core
    python -m tests.bench.bench_stats --runs 1000 --write      # the figures of docs/statistics.md, ten minutes
    python -m tests.bench.bench_stats --runs 50        # a minute, to see that it runs

Everything follows from --seed; rollouts are simulated request by request, decided by the engine that ships.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from scipy.special import xlogy
from scipy.stats import beta
from tests.bench import rivals, rollouts
from tests.bench.plot import bars
from tests.bench.rollouts import BASES, Change, Floats, Rollouts, step_shares

from modelroute.analysis.design import Comparison, Design, Objective, Outcomes, Window
from modelroute.analysis.engine import advance_all, assess, start
from modelroute.analysis.two_arm import projection

ALPHA = BETA = 0.05
PAGE = Path(__file__).parents[2] / "docs" / "statistics.md"
NAMES = tuple(f"{base:.1%}" for base in BASES)
CHANGES = (Change(0.01, 0.02), Change(0.001, 0.01), Change(0.05, 0.08), Change(0.01, 1.0))
SAFE = ((0.01, 0.01), (0.05, 0.02), (0.001, 0.002))
"""(base rate, margin) of the gates."""


def design_of(margins: Sequence[float], *, overdispersion: float = 1.0) -> Design:
    objectives = tuple(Objective(name, margin=margin) for name, margin in zip(NAMES, margins, strict=True))
    return Design(objectives, (Comparison("new", "old"),), ALPHA, BETA, overdispersion)


def window_of(share: float, look: int, counts: Floats) -> Window:
    """`counts` (objectives, 4) of one look."""
    outcomes = {}
    for name, (n_c, x_c, n_b, x_b) in zip(NAMES, counts.tolist(), strict=False):
        outcomes[name, "new"] = Outcomes(n_c, (x_c,), x_c)
        outcomes[name, "old"] = Outcomes(n_b, (x_b,), x_b)
    return Window(float(look), look + 1.0, outcomes, {"new": share, "old": 1 - share}, settled=True)


def decided(design: Design, played: Rollouts, *, safe: bool = False) -> Iterator[tuple[int, int]]:
    """(run, look) of each run that rolls back (with `safe`: that is proven safe), at its first look that does."""
    states = {run: start(design) for run in range(len(played.counts))}
    # A weighted mean is not above a bound before one of its processes is, so most looks need no assessment.
    least = -np.log(design.beta if safe else design.alpha)
    for look, share in enumerate(played.shares.tolist()):
        running = list(states)
        after = advance_all(
            (design, states[run], window_of(share, look, played.counts[run, look])) for run in running
        )  # fmt: skip
        for run, state in zip(running, after, strict=True):
            states[run] = state
            if state.bank.log_e.max() < least:
                continue
            found = assess(design, state)
            if found.proven_safe if safe else found.rollback_breached:
                yield run, look
                del states[run]


def share_of(wrong: int, runs: int) -> str:
    """'0.7 % (≥ 0.2 %)': with the lower 95 % limit, which must not be above α."""
    low = float(beta.ppf(0.05, wrong, runs - wrong + 1)) if wrong else 0.0
    return f"{wrong / runs:.1%} (≥ {low:.1%})"


Null = Callable[[np.random.Generator, int], Rollouts]
NULLS: tuple[tuple[str, Null, float, float], ...] = (
    ("nothing changes", rollouts.nothing, 0.0, 1.0),
    ("both drift to ×3", rollouts.drifting, 0.0, 1.0),
    ("shared outages of ×20", rollouts.shared_outages, 0.0, 1.0),
    ("rates at the margin", rollouts.at_the_margin, 0.5, 1.0),
    ("sessions of 10, D = 1", rollouts.sessions, 0.0, 1.0),
    ("sessions of 10, D = 10", rollouts.sessions, 0.0, 10.0),
    ("one arm fails 15 % for a look, D = 1", rollouts.shocks, 0.0, 1.0),
    ("one arm fails 15 % for a look, D = 10", rollouts.shocks, 0.0, 10.0),
)
"""Name, rollouts, margin as a part of the base rate, D. The last four are about robustness: the null does not hold."""


def false_rollbacks(seed: int, runs: int) -> Iterator[str]:
    yield "| | modelroute | fixed thresholds | z, every look | z, every step | Bonferroni | Mann–Whitney |"
    yield "|---|---|---|---|---|---|---|"
    for index, (name, null, margin, overdispersion) in enumerate(NULLS):
        played = null(np.random.default_rng([seed, index]), runs)
        design = design_of((margin * BASES).tolist(), overdispersion=overdispersion)
        wrong = sum(1 for _ in decided(design, played))
        others = (
            rivals.fixed_thresholds,
            rivals.z_every_look,
            rivals.z_every_step,
            rivals.bonferroni,
            rivals.mann_whitney,
        )
        told = [f"{float(rival(played.counts).mean()):.0%}" for rival in others]
        yield f"| {name} | {share_of(wrong, runs)} | {' | '.join(told)} |"


ONSETS: tuple[tuple[str, Floats, int], ...] = (
    ("from the start", step_shares(300), 0),
    ("from the sixth step on", step_shares(250), 50),
    ("mid-gate at 10 %, after 4 hours", np.full(960 + 100, 0.1), 960),
)
"""Name, shares, onset."""


def requests_to_detect(seed: int, runs: int) -> Iterator[str]:
    yield "| change | " + " | ".join(name for name, _, _ in ONSETS) + " | Wald's bound at 10 % |"
    yield "|---|---|---|---|---|"
    design = design_of(np.zeros(len(BASES)).tolist())
    for index, change in enumerate(CHANGES):
        told = []
        for at, (_, shares, onset) in enumerate(ONSETS):
            chance = np.random.default_rng([seed, 100 + index, at])
            played = rollouts.changed(chance, runs, change, shares, onset)
            needed = np.full(runs, np.inf)
            for run, look in decided(design, played):
                before = look < onset
                needed[run] = np.nan if before else played.counts[run, onset : look + 1, change.objective, 0].sum()
            told.append(_median_and_ninetieth(needed))
        yield f"| {change.before:.1%} → {change.after:.1%} | {' | '.join(told)} | {wald(change, 0.1):,.0f} |"


def _median_and_ninetieth(needed: Floats) -> str:
    known = needed[~np.isnan(needed)]
    median, ninetieth = np.quantile(known, [0.5, 0.9], method="higher")
    return f"{median:,.0f} / {ninetieth:,.0f}"


def always_failing(seed: int, runs: int) -> Iterator[str]:
    """Looks until a candidate is rolled back that fails every request, with just ten of them at each look."""
    yield "| the reference's requests a look | onset | looks until rollback, median | at most |"
    yield "|---|---|---|---|"
    design = design_of(np.zeros(len(BASES)).tolist())
    for index, (others, onset) in enumerate(itertools.product((90, 990), (0, 100))):
        chance = np.random.default_rng([seed, 300 + index])
        played = rollouts.always_failing(chance, runs, others, onset)
        # Those that were rolled back before the onset are false rollbacks, which the first table counts.
        looks = np.full(runs, np.inf)
        for run, look in decided(design, played):
            looks[run] = look - onset + 1
        known = looks[looks > 0]
        when = f"after {onset} looks of health" if onset else "from the start"
        yield f"| {others} | {when} | {np.median(known):.0f} | {known.max():.0f} |"


def wald(change: Change, share: float) -> float:
    """ln(1/α) over what one of the candidate's requests brings, with both rates known and its reference's beside it."""
    after = min(change.after, 1 - 1e-12)
    b = float(projection(share, 1 - share, after, change.before, 1.0, 0.0))
    return float(np.log(1 / ALPHA) / (_kl(after, b) + (1 - share) / share * _kl(change.before, b)))


def _kl(p: float, q: float) -> float:
    return float(xlogy(p, p / q) + xlogy(1 - p, (1 - p) / (1 - q)))


def proofs_of_safety(seed: int, runs: int) -> Iterator[str]:
    yield "| base rate, margin | requests until proven, truly equal | proven although at the boundary |"
    yield "|---|---|---|"
    shares = np.full(120, 0.1)
    for index, (base, margin) in enumerate(SAFE):
        at = int(np.flatnonzero(np.isclose(BASES, base))[0])
        design = Design((Objective(NAMES[at], margin=margin),), (Comparison("new", "old"),), ALPHA, BETA)
        chance = np.random.default_rng([seed, 200 + index])
        equal = rollouts.drawn(chance, shares, BASES, BASES, runs)
        needed = np.full(runs, np.inf)
        for run, look in decided(design, _only(equal, at), safe=True):
            needed[run] = equal.counts[run, : look + 1, at, 0].sum()
        worse = rollouts.drawn(chance, shares, BASES + margin, BASES, runs)
        wrong = sum(1 for _ in decided(design, _only(worse, at), safe=True))
        yield f"| {base:.1%}, {margin:.1%} | {_median_and_ninetieth(needed)} | {share_of(wrong, runs)} |"


def _only(played: Rollouts, objective: int) -> Rollouts:
    """Its counts under the name of that objective alone: the first one's place is enough for `window_of`."""
    padded = np.zeros((*played.counts.shape[:2], objective + 1, 4))
    padded[:, :, objective] = played.counts[:, :, objective]
    return Rollouts(played.shares, padded)


BEGIN, END = "<!-- bench -->", "<!-- end of bench -->"


def tables(seed: int, runs: int) -> Iterator[str]:
    """The page's lines, as they are known."""
    few = max(runs // 5, 20)
    yield f"{runs} runs, seed {seed}, α = {ALPHA:.0%}, β = {BETA:.0%}."
    for title, rows in (
        ("False rollbacks of a whole rollout, with the lower 95 % limit", false_rollbacks(seed, runs)),
        (f"Candidate requests until rollback, median / 90th of 100 ({few} runs)", requests_to_detect(seed, few)),
        (f"A candidate that fails every request, ten a look ({few} runs)", always_failing(seed, few)),
        ("Proofs of safety at a 10 % canary", proofs_of_safety(seed, runs)),
    ):
        yield f"\n### {title}\n"
        yield from rows


def plot_of(lines: Sequence[str]) -> str:
    """The row of the first null, as bars."""
    names = [cell.strip() for cell in next(line for line in lines if "fixed thresholds" in line).split("|")[2:-1]]
    row = next(line for line in lines if line.startswith(f"| {NULLS[0][0]} "))
    shares = [float(cell.split("%")[0]) / 100 for cell in row.split("|")[2:-1]]
    return bars("Harmless rollouts that were rolled back", list(zip(names, shares, strict=True)), limit=ALPHA)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=300, help="rollouts for each figure (default 300)")
    parser.add_argument("--seed", type=int, default=20261124)
    parser.add_argument("--write", action="store_true", help=f"into {PAGE.name} and its plot, too")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    lines = []
    for line in tables(options.seed, options.runs):
        print(line, flush=True)
        lines.append(line)
    print(f"\n{time.monotonic() - began:.0f} s", file=sys.stderr)
    if options.write:
        publish(lines)


def publish(lines: Sequence[str]) -> None:
    """Put the tables between the page's marks, and the plot beside it."""
    before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{chr(10).join(lines)}\n\n{END}{after}", "utf-8")
    PAGE.with_name("false-rollbacks.svg").write_text(plot_of(lines), "utf-8")


if __name__ == "__main__":
    main()
