"""The engine on objectives with `max`: broken alone, broken by both arms, without a reference, and late."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import mpmath as mp
import numpy as np
import pytest
from tests.oracle.whole import Joint

from modelroute.analysis.design import Action, Comparison, Design, Objective, Outcomes, Window
from modelroute.analysis.engine import (
    Assessment,
    Knowledge,
    State,
    Tally,
    advance,
    advance_all,
    assess,
    decode,
    encode,
    start,
)
from modelroute.analysis.layout import Kind, form_share, layout_of
from modelroute.analysis.one_arm import Direction, log_e_sums

SLOW = Objective("slow", limit=0.05)
DESIGN = Design((SLOW,), (Comparison("small", "large"),))
ALONE = Design((SLOW,), (Comparison("small", None),))


def window(
    k: int,
    small: tuple[float, float] | None,
    large: tuple[float, float] | None = (18, 900),
    share: float = 0.1,
    absolute: tuple[float, float] | None = None,
) -> Window:
    """(bad, total) of each arm; `absolute` are the bad ones for `max`, where they are others."""
    counts = {"small": small, "large": large}
    outcomes = {
        ("slow", arm): Outcomes(each[1], (each[0],), each[0] if absolute is None else absolute[arm == "large"])
        for arm, each in counts.items()
        if each is not None
    }
    return Window(5.0 * k - 5, 5.0 * k, outcomes, {"small": share, "large": 1 - share}, True)


def known(*windows: Window, design: Design = DESIGN) -> Assessment:
    return assess(design, after(*windows, design=design))


def after(*windows: Window, design: Design = DESIGN) -> State:
    state = start(design)
    for each in windows:
        state = advance(design, state, each)
    return state


def test_a_candidate_above_its_limit_and_above_its_reference_goes_back() -> None:
    found = known(*(window(k, (12, 100)) for k in range(1, 30)))

    assert found.rollback_breached
    assert found.findings[0].strongest_process == "max"
    assert found.findings[0].verdict is Knowledge.HARMFUL


def test_a_candidate_within_its_limit_stays_though_it_is_worse_than_its_reference() -> None:
    found = known(*(window(k, (4, 100), (9, 900)) for k in range(1, 60)))

    assert not found.rollback_breached
    assert not found.findings[0].reference_too


def test_where_the_reference_breaks_the_limit_too_it_is_said_and_nothing_goes_back() -> None:
    """With 400 requests a window against 900: more than enough to show that 12 % is above 5 %."""
    found = known(*(window(k, (48, 400), (108, 900), share=0.3) for k in range(1, 40)))

    assert not found.rollback_breached
    assert found.findings[0].reference_too
    assert found.findings[0].verdict is Knowledge.REFERENCE_TOO


def test_without_a_reference_the_limit_stands_alone() -> None:
    found = known(*(window(k, (12, 100), None) for k in range(1, 30)), design=ALONE)

    assert found.rollback_breached
    assert found.findings[0].in_words() == "348 of 2,900 bad"


def test_without_reference_traffic_the_limit_stands_alone_from_then_on() -> None:
    """At the last step the reference is asked for nothing; before, both broke the limit alike."""
    both = [window(k, (12, 100), (108, 900)) for k in range(1, 10)]
    alone = [window(k, (120, 1000), None, share=1.0) for k in range(10, 20)]

    assert not known(*both).rollback_breached
    assert known(*both, *alone).rollback_breached


def test_sessions_of_three_requests_count_as_one_each() -> None:
    """Three times the counts, a third of the evidence: what a bound is shown is the same to the bit."""
    sessions = replace(DESIGN, overdispersion=3.0)
    each = after(*(window(k, (2, 20), (18, 900)) for k in (1, 2, 3)))
    three = after(*(window(k, (6, 60), (18, 900)) for k in (1, 2, 3)), design=sessions)

    assert each.limited[0].log_sums == three.limited[0].log_sums != 0
    assert each.limited[0].log_safe == three.limited[0].log_safe != 0


@pytest.mark.parametrize("bad", [1, 2, 3, 4, 5])
def test_what_is_kept_of_a_bounds_sums_is_rounded_down(bad: float) -> None:
    (kept,) = after(window(1, (bad, 50))).limited
    for told, direction in ((kept.log_sums, Direction.HARM), (kept.log_safe, Direction.SAFE)):
        exact = float(log_e_sums(50, bad, limit=0.05, direction=direction))

        assert exact - 1e-9 <= told <= exact


def test_one_window_does_not_prove_a_bound_however_good_it_is() -> None:
    assert not known(window(1, (0, 30_000))).proven_safe
    assert known(*(window(k, (0, 30_000)) for k in (1, 2, 3))).proven_safe


def test_one_window_brings_the_sums_of_a_limit_at_most_a_third_of_what_lacks_or_the_cap_and_a_proof_half() -> None:
    """After hours of health the third is more: what lacks is counted from where the sums stand."""
    calm = after(*(window(k, (0, 400)) for k in range(1, 11)))
    awful, good = (
        advance(DESIGN, state, window(99, bad)) for state, bad in ((calm, (400, 400)), (start(DESIGN), (0, 9**6)))
    )
    then, now = calm.limited[0].log_sums, awful.limited[0].log_sums
    # The form of `max` has nine tenths of all, and with the fast path two processes decide.
    goal, cap = -math.log(0.05 * 0.9), math.log(2 / 0.05) / 3

    assert (goal - then) / 3 > cap
    assert now == pytest.approx(then + (goal - then) / 3, abs=2e-9)
    assert after(window(1, (400, 400))).limited[0].log_sums == pytest.approx(cap, abs=2e-9)
    assert good.limited[0].log_safe == pytest.approx(math.log(20) / 2, abs=2e-9)


@pytest.mark.parametrize("overdispersion", [1.0, 2.0])
@pytest.mark.parametrize("step", [None, 2])
def test_windows_that_are_judged_as_one_say_what_the_oracle_says_of_the_block(
    step: int | None, overdispersion: float
) -> None:
    """A block spends once, when it begins; a step begins another."""
    design = replace(DESIGN, overdispersion=overdispersion)
    counts = [((2, 15), (3, 135)), ((3, 15), (1, 135)), ((1, 10), (9, 140))]
    state = start(design)
    played = Joint(-mp.log(mp.mpf(0.05) * 9 / 10), mp.log(40) / 3)
    bad = total = 0
    for k, (small, large) in enumerate(counts):
        begins = k == step
        state = advance(design, state, window(k + 1, small, large, share=0.1 if step is None or k < step else 0.2))
        guess = (mp.mpf(1) / 2 + bad) / (50 + total)
        played.look((small[1], small[0], large[1], large[0]), guess, mp.mpf(0.05), overdispersion, step_begins=begins)
        bad, total = bad + large[0], total + large[1]

        (row,) = layout_of(design).of(Kind.BOTH, 0)
        assert state.bank.log_e[row] == pytest.approx(float(played.log_e), abs=1e-7), f"window {k}"


def contribution(state: State, design: Design = DESIGN) -> float:
    """ln of what `max` says, before its form's part is taken."""
    (found,) = assess(design, state).findings
    return dict(found.contributions)["max"] - math.log(form_share(layout_of(design).pairs[0]))


@pytest.mark.parametrize("both", [[(12, 108)] * 4, [(12, 9)] * 4, [(1, 9)] * 4], ids=["both", "candidate", "none"])
def test_what_is_seen_without_the_reference_counts_by_the_limit_alone_and_what_came_before_stays(
    both: list[tuple[int, int]],
) -> None:
    first = [window(k, (mine, 100), (theirs, 900)) for k, (mine, theirs) in enumerate(both, 1)]
    alone = [window(k, (150, 1000), None, share=1.0) for k in (5, 6)]
    again = [window(k, (12, 100), (108, 900)) for k in (7, 8, 9)]
    before, then, last = (after(*windows) for windows in (first, first + alone, first + alone + again))

    assert contribution(then) > contribution(before) + 1
    assert contribution(last) < contribution(then) + 0.1, "what breaks the limit in both arms adds nothing"


def test_an_arm_that_is_not_asked_for_is_asked_for_nothing() -> None:
    """Whether it is left out or stands there with 0."""
    arms = (((12, 100), None, 1.0), ((12, 100), (18, 900), 0.0))
    for (small, large, share), settled in itertools.product(arms, (True, False)):
        told = replace(window(1, small, large, share=share), settled=settled)
        silent = replace(told, asked={arm: each for arm, each in told.asked.items() if each})

        assert encode(after(silent)) == encode(after(told))


def test_without_a_reference_only_the_candidate_is_counted() -> None:
    forms = Design((Objective("slow", margin=0.02, limit=0.2),), DESIGN.comparisons)
    for design in (ALONE, DESIGN, forms):
        state = after(window(1, (12, 100), None, share=1.0), window(2, (3, 50), None, share=1.0), design=design)
        (row,) = layout_of(design).of(Kind.LIMIT, 0)
        both = [row, *layout_of(design).of(Kind.BOTH, 0)]

        assert state.tallies == (Tally(15, 150, 0, 0, 2, 0),)
        assert state.bank.windows[row] == 2
        assert not state.bank.bad[both].any()
        assert not state.bank.total[both].any()


def test_a_reference_that_is_asked_for_traffic_and_completes_none_is_nothing_to_compare_with_and_no_excuse() -> None:
    state = after(*(window(k, (50, 100), (0, 0)) for k in range(1, 4)))
    (both,), (limit,) = (layout_of(DESIGN).of(kind, 0) for kind in (Kind.BOTH, Kind.LIMIT))

    assert state.bank.windows[both] == 0
    assert state.bank.log_e[both] == 0
    assert state.blocks == (None,)
    assert state.bank.windows[limit] == 3
    assert after(window(1, (50, 100), (0, 1))).bank.total[both] == 1, "one request is something"


def test_a_reference_that_should_be_there_and_is_unknown_hides_the_window() -> None:
    state = after(*(window(k, (50, 100), None) for k in range(1, 10)))

    assert state.bank == start(DESIGN).bank
    assert state.limited == start(DESIGN).limited
    assert state.tallies[0].skipped == 9


def test_after_hours_of_health_a_broken_limit_is_still_found_out_within_minutes() -> None:
    healthy = [window(k, (1, 100)) for k in range(1, 700)]
    broken = [window(k, (12, 100)) for k in range(700, 725)]

    assert not known(*healthy).rollback_breached
    assert known(*healthy, *broken).rollback_breached


def test_a_margin_and_a_limit_are_two_forms_of_one_objective() -> None:
    design = Design((Objective("slow", margin=0.02, limit=0.2),), DESIGN.comparisons)
    worse = known(*(window(k, (9, 100), (18, 900)) for k in range(1, 40)), design=design)
    above = known(*(window(k, (30, 100), (261, 900)) for k in range(1, 40)), design=design)

    assert worse.rollback_breached
    assert worse.findings[0].strongest_process == "margin"
    assert not above.rollback_breached
    assert above.findings[0].reference_too


def test_what_is_bad_for_the_limit_is_counted_apart_from_what_is_compared() -> None:
    """A wrong model name answers 404: bad against the reference, no breach of `max`."""
    windows = [window(k, (90, 100), (9, 900), absolute=(0, 9)) for k in range(1, 30)]

    assert not known(*windows).findings[0].reference_too
    assert not known(*windows).rollback_breached


@pytest.mark.parametrize(
    ("objective", "told"),
    [
        (Objective("slow", margin=0.02), (9.0, 18.0)),
        (Objective("slow", margin=0.02, limit=0.2), (9.0, 18.0)),
        (Objective("slow", limit=0.2), (2.0, 4.0)),
    ],
)
def test_people_are_told_what_is_compared_and_else_what_the_limit_counts(
    objective: Objective, told: tuple[float, float]
) -> None:
    state = after(window(1, (9, 100), (18, 900), absolute=(2, 4)), design=Design((objective,), DESIGN.comparisons))
    (tally,) = state.tallies

    assert (tally.candidate_bad, tally.reference_bad) == told
    assert [(each.bad, each.total) for each in state.limited] == ([(2, 100)] if objective.limit else [])


def test_a_pause_objective_with_a_limit_pauses() -> None:
    design = Design((Objective("slow", limit=0.05, action=Action.PAUSE),), DESIGN.comparisons)
    found = known(*(window(k, (12, 100)) for k in range(1, 30)), design=design)

    assert found.pause_breached
    assert not found.rollback_breached


def test_at_its_limit_a_candidate_is_rolled_back_in_at_most_5_percent_of_attempts() -> None:
    chance = np.random.default_rng(21)
    runs, crossed = 60, 0
    for _ in range(runs):
        state = start(DESIGN)
        for k in range(1, 26):
            state = advance(
                DESIGN, state, window(k, (chance.binomial(100, 0.05), 100), (chance.binomial(900, 0.01), 900))
            )
            if assess(DESIGN, state).rollback_breached:
                crossed += 1
                break

    assert crossed <= 0.05 * runs + 1, f"{crossed} of {runs} attempts"


@pytest.mark.parametrize("total", [0.0, 1.0])
def test_windows_with_next_to_nothing_in_them_are_no_evidence(total: float) -> None:
    found = known(*(window(k, (0, total), (0, total)) for k in range(1, 200)))

    assert not found.rollback_breached
    assert np.isfinite(found.rollback_log_evidence)


def attempts_with_an_outage(
    runs: int, *, outage: float, windows: int, total: int = 600, share: float = 0.5, seed: int = 4
) -> int:
    """How many of `runs` attempts go back of a candidate at 2 % and a reference at 1 %, where `max` allows 5 %.

    From the 101st window on both fail `outage` of their requests, `windows` windows long.
    """
    chance = np.random.default_rng(seed)
    states, back = [start(DESIGN)] * runs, [False] * runs
    for k in range(1, 101 + windows):
        rates = (outage, outage) if k > 100 else (0.02, 0.01)
        small = chance.binomial(total, share, runs)
        bad = [chance.binomial(n, rate) for n, rate in zip((small, total - small), rates, strict=True)]
        states = advance_all(
            (DESIGN, state, window(k, (x, n), (y, total - n), share=share))
            for state, n, x, y in zip(states, small, *bad, strict=True)
        )
        back = [gone or assess(DESIGN, state).rollback_breached for gone, state in zip(back, states, strict=True)]
    return sum(back)


def rolled_back(
    design: Design, rates: list[tuple[float, float]], arms: tuple[int, int], *, runs: int, seed: int
) -> int:
    """How many of `runs` attempts go back in windows with those rates and numbers of requests, candidate's first."""
    chance = np.random.default_rng(seed)
    states, back = [start(design)] * runs, [False] * runs
    for k, rate in enumerate(rates, 1):
        bad = [chance.binomial(n, each, runs) for n, each in zip(arms, rate, strict=True)]
        states = advance_all(
            (design, state, window(k, (x, arms[0]), (y, arms[1]))) for state, x, y in zip(states, *bad, strict=True)
        )
        back = [gone or assess(design, state).rollback_breached for gone, state in zip(back, states, strict=True)]
    return sum(back)


def test_little_traffic_in_a_window_does_not_hide_a_broken_limit() -> None:
    """60 requests a window at 1 % and a limit of 0.5 %: three windows in four have at most one bad answer."""
    strict = Design((Objective("slow", limit=0.005),), DESIGN.comparisons)

    assert rolled_back(strict, [(0.01, 0.001)] * 110, (60, 540), runs=12, seed=5) >= 10


@pytest.mark.parametrize(
    "rates",
    [
        [(0.05, 0.001)] * 100,
        [(0.3, 0.3)] * 100,
        [(0.049, 0.001)] * 80 + [(0.3, 0.3)] * 20,
        ([(0.049, 0.001)] * 18 + [(0.3, 0.3)] * 2) * 5,
    ],
    ids=["at the limit", "as bad as the reference", "an outage after calm", "five outages"],
)
def test_with_little_traffic_too_nobody_is_blamed_for_what_is_allowed(rates: list[tuple[float, float]]) -> None:
    """15 requests a window, four of which are judged as one, so that outages begin and end within such blocks."""
    assert rolled_back(DESIGN, rates, (15, 135), runs=20, seed=6) <= 1


def test_a_restart_amid_windows_that_are_judged_as_one_changes_no_byte() -> None:
    windows = [window(k, (k % 3, 14), (k % 5, 130)) for k in range(1, 20)]
    whole = after(*windows)
    assert any(after(*windows[:cut]).blocks[0] is not None for cut in range(1, 19))
    for cut in range(1, len(windows)):
        state = decode(DESIGN, encode(after(*windows[:cut])))
        for each in windows[cut:]:
            state = advance(DESIGN, state, each)
        assert encode(state) == encode(whole)


@pytest.mark.parametrize(("outage", "windows"), [(0.3, 8), (0.12, 8), (0.3, 30)])
def test_an_outage_of_both_blames_nobody_though_the_candidate_was_always_a_little_worse(
    outage: float, windows: int
) -> None:
    """What `max` allows in the calm hours before is saved up for no outage: each window is judged for itself."""
    assert attempts_with_an_outage(12, outage=outage, windows=windows) == 0


def test_a_state_of_the_second_engine_is_read_and_what_it_saved_up_for_max_counts_as_lost() -> None:
    """It had compared the candidate with its reference in windows that were within `max`."""
    state = after(*(window(k, (4, 100)) for k in range(1, 20)))
    content = json.loads(encode(state))
    later = ("recent", "blocks")
    second = {key: value for key, value in content.items() if key not in later} | {
        "v": "2",
        "rows": [each[:6] for each in content["rows"]],
        "limited": [[*each[:3], 0.25, *each[3:]] for each in content["limited"]],
    }

    read = decode(DESIGN, json.dumps(second))

    (place,) = layout_of(DESIGN).of(Kind.BOTH, 0)
    others = [index for index in range(len(state.bank.log_e)) if index != place]
    assert not read.bank.hits.any()
    assert read.bank.log_e[place] == state.bank.log_unspent[place]
    assert read.bank.log_e[others].tolist() == state.bank.log_e[others].tolist()
    assert (read.limited, read.tallies, read.until) == (state.limited, state.tallies, state.until)
    assert decode(DESIGN, encode(read)) == read
    for k in range(20, 40):
        read = advance(DESIGN, read, window(k, (15, 100)))
    assert assess(DESIGN, read).rollback_breached


def test_a_state_of_the_second_engine_with_too_few_processes_is_refused() -> None:
    row = f"[[{','.join(['null'] * 16)}],0,0,0,0,0]"
    text = f'{{"v":"2","until":5,"asked":[],"rows":[{row}],"tallies":[],"limited":[],"bounds":[]}}'

    with pytest.raises(ValueError, match="does not belong to this attempt"):
        decode(DESIGN, text)
