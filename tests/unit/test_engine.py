"""The engine: the published check values, and how it behaves in the situations that rollouts meet."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from modelroute.analysis.design import Action, Comparison, Design, Objective, Outcomes, Window
from modelroute.analysis.engine import Assessment, Knowledge, State, advance, advance_all, assess, assess_all, start
from modelroute.analysis.layout import Kind, layout_of, least_cap
from modelroute.analysis.mixture import ALTERNATIVES, PRIOR, Floats, kept, unspent
from modelroute.analysis.state import ENGINE_VERSION, decode, encode, version_of
from modelroute.analysis.two_arm import _bracket, _newton, log_e_values, projection, shifted

ERRORS = Objective("errors", margin=0.005)
DESIGN = Design((ERRORS,), (Comparison("small", "large"),))


def window(
    end: float,
    small: tuple[float, float] | None = (0, 100),
    large: tuple[float, float] | None = (0, 900),
    *,
    settled: bool = True,
    name: str = "errors",
) -> Window:
    """(bad, total) of each arm; None is not known."""
    arms = {"small": small, "large": large}
    outcomes = {
        (name, arm): Outcomes(counts[1], (counts[0],), counts[0]) for arm, counts in arms.items() if counts is not None
    }
    return Window(end - 5, end, outcomes, {"small": 0.1, "large": 0.9}, settled)


def after(*windows: Window, design: Design = DESIGN) -> State:
    state = start(design)
    for each in windows:
        state = advance(design, state, each)
    return state


def known(*windows: Window, design: Design = DESIGN) -> Assessment:
    return assess(design, after(*windows, design=design))


@pytest.mark.parametrize(
    ("theta_b", "theta_c", "ratio", "margin", "boundary", "log_e"),
    [
        (0.01, 0.02, 1.0, 0.0, 0.011, 2.1633810413),
        (0.01, 0.03, 1.2, 0.002, 0.0113947310, 1.9342897692),
    ],
)
def test_the_published_check_values_come_out_to_nine_digits(
    theta_b: float, theta_c: float, ratio: float, margin: float, boundary: float, log_e: float
) -> None:
    found = projection(100, 900, theta_c, theta_b, ratio, margin)
    allowed = ratio * theta_b + margin
    psi = (theta_c / (1 - theta_c)) / (allowed / (1 - allowed))
    (value,) = log_e_values(100, 5, 900, 9, guess=theta_b, alternatives=np.array([psi]), ratio=ratio, margin=margin)

    assert float(found) == pytest.approx(boundary, abs=5e-11)
    assert float(value) == pytest.approx(log_e, abs=5e-10)


def test_newtons_steps_are_all_but_there_in_four() -> None:
    """So few are left that a look for a thousand routes takes a fraction of a second; bisection alone takes fifty."""
    chance = np.random.default_rng(17)
    size = 4_000
    n_c, n_b, theta_b = chance.uniform(5, 600, size), chance.uniform(5, 3_000, size), chance.uniform(0.001, 0.3, size)
    ratio, margin = chance.choice([1.0, 1.2, 2.0], size), chance.choice([0.0, 0.005, 0.05], size)
    theta_c = shifted(ratio * theta_b + margin, chance.choice(np.concatenate([ALTERNATIVES, 1 / ALTERNATIVES]), size))
    problem = np.stack([n_c / (n_c + n_b), n_b / (n_c + n_b), theta_c, theta_b, ratio, margin])

    low, high, b = _bracket(problem)
    errors = []
    exact = projection(n_c, n_b, theta_c, theta_b, ratio, margin)
    for _ in range(4):
        errors.append(np.abs(b - exact) / exact)
        b, low, high, _ = _newton(problem, low, high, b)
        assert np.all((low <= exact * (1 + 1e-12)) & (exact <= high * (1 + 1e-12)))

    assert np.median(errors[0]) < 0.01
    assert np.quantile(errors[1], 0.9) < 0.003
    assert np.quantile(errors[3], 0.99) < 0.001


def test_without_margin_the_projection_is_the_pooled_mean() -> None:
    assert float(projection(100, 300, 0.09, 0.01, 1.0, 0.0)) == pytest.approx((9 + 3) / 400, rel=1e-12)


def test_the_grid_and_what_is_spent_are_those_of_the_design() -> None:
    assert ALTERNATIVES[0] == pytest.approx(1.25)
    assert ALTERNATIVES[-1] == pytest.approx(100)
    assert np.diff(np.log(ALTERNATIVES)) == pytest.approx(np.full(15, math.log(80) / 15))
    assert PRIOR[1] / PRIOR[0] == pytest.approx(math.exp(-0.35))
    assert [unspent(0), unspent(1), unspent(21)] == pytest.approx([1.0, 0.5, 0.5 / math.sqrt(2)])
    assert float(kept(0, False)) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("windows", "step_begins", "at_once", "part"),
    [
        (0, False, False, 0.5),
        (0, True, False, 0.5),
        (1, False, False, math.sqrt(20 / 21)),
        (1, True, False, 0.85 * math.sqrt(20 / 21)),
        (20, True, False, 0.85 * math.sqrt(39 / 40)),
        (0, False, True, 0.1),
        (0, True, True, 0.1),
        (1, False, True, math.sqrt(20 / 21)),
    ],
)
def test_a_step_spends_15_percent_more_and_a_proof_of_safety_most_of_it_at_first(
    windows: int, step_begins: bool, at_once: bool, part: float
) -> None:
    """A step that begins before the first window spends nothing more: half is spent then anyway."""
    assert float(kept(windows, step_begins, at_once)) == pytest.approx(part, rel=1e-12)


@pytest.mark.parametrize("bad", [0.0, 9.0, 40.0, 90.0])
def test_the_window_at_hand_never_moves_its_own_guess_of_the_reference(bad: float) -> None:
    """Whatever its reference does, a window is bet on with what the windows before it say: 9 of 900."""
    first = after(window(5, small=(1, 100), large=(9, 900)))
    place = layout_of(DESIGN).of(Kind.MAIN, 0)[0]
    log_ratios = log_e_values(
        100, 4, 900, bad, guess=(0.5 + 9) / (0.5 / 0.01 + 900), alternatives=ALTERNATIVES, margin=0.005
    )
    most = np.maximum(least_cap(DESIGN, Action.ROLL_BACK), (-math.log(0.05 * 0.9) - spent(first, place)) / 3)

    second = advance(DESIGN, first, window(10, small=(4, 100), large=(bad, 900)))

    grown = np.exp(spent(first, place) + np.minimum(log_ratios, most))
    assert np.exp(second.bank.log_capital[place]) == pytest.approx(grown, rel=1e-8, abs=1e-30)


def spent(state: State, place: int) -> Floats:
    """ln of the capital of one row's alternatives once the second window's part is put on them."""
    more = state.bank.log_unspent[place] + math.log(1 - math.sqrt(20 / 21)) + np.log(PRIOR)
    return np.asarray(np.logaddexp(state.bank.log_capital[place], more))


@pytest.mark.parametrize(
    ("n_c", "n_b", "guess", "margin"), [(0, 900, 0.01, 0.0), (100, 0, 0.01, 0.0), (100, 900, 0.5, 0.6)]
)
def test_where_nothing_can_be_shown_the_evidence_does_not_move(
    n_c: float, n_b: float, guess: float, margin: float
) -> None:
    found = log_e_values(n_c, 0, n_b, 0, guess=guess, alternatives=ALTERNATIVES, margin=margin)

    assert found == pytest.approx(np.zeros(16))


def test_a_healthy_candidate_is_not_harmful_and_the_evidence_falls() -> None:
    found = known(*(window(5.0 * k, small=(1, 100), large=(9, 900)) for k in range(1, 100)))

    assert not found.rollback_breached
    assert found.rollback_log_evidence < 0
    assert found.findings[0].knowledge is Knowledge.NO_HARM_SHOWN


def test_a_candidate_that_is_worse_than_allowed_is_found_out() -> None:
    found = known(*(window(5.0 * k, small=(5, 100), large=(9, 900)) for k in range(1, 100)))

    assert found.rollback_breached
    assert found.strongest is not None
    assert found.strongest.in_words() == "495 of 9,900 bad against 891 of 89,100 by large"


def test_nothing_counted_is_unknown_and_not_a_pass() -> None:
    assert known().findings[0].knowledge is Knowledge.UNKNOWN


def rows(state: State, kind: Kind, design: Design = DESIGN) -> list[float]:
    """ln E of the processes of one kind."""
    layout = layout_of(design)
    return [float(state.bank.log_e[i]) for i, row in enumerate(layout.rows) if row.kind is kind]


@pytest.mark.parametrize("hidden", ["small", "large"])
def test_an_unknown_window_moves_no_evidence_and_is_counted(hidden: str) -> None:
    state = after(window(5, **{hidden: None}))  # type: ignore[arg-type]  # the counts of one arm or the other

    assert state.bank == start(DESIGN).bank
    assert np.array_equal(state.bounds, start(DESIGN).bounds)
    assert state.tallies[0].skipped == 1


@pytest.mark.parametrize("brought", [(), (90.0,), (90.0, 80.0, 70.0)])
def test_counts_of_fewer_or_more_boundaries_than_were_frozen_are_unknown(brought: tuple[float, ...]) -> None:
    design = Design((replace(ERRORS, boundaries=2),), DESIGN.comparisons)
    seen = window(5, small=(90, 100))
    outcomes = {key: replace(each, compared=brought) for key, each in seen.outcomes.items()}
    state = after(replace(seen, outcomes=outcomes), design=design)

    assert state.bank == start(design).bank
    assert state.tallies[0].skipped == 1


def test_a_window_that_was_seen_changes_nothing() -> None:
    state = after(window(5, small=(3, 100)), window(10, small=(4, 100)))

    assert advance(DESIGN, state, window(10, small=(90, 100))) == state
    assert advance(DESIGN, state, window(5, small=(90, 100))) == state


def test_a_window_that_was_seen_changes_nothing_for_the_others_that_are_folded_in_with_it() -> None:
    seen, fresh = after(window(5, small=(3, 100))), start(DESIGN)
    again, first = advance_all([(DESIGN, seen, window(5, small=(90, 100))), (DESIGN, fresh, window(5, small=(1, 100)))])

    assert again == seen
    assert first == after(window(5, small=(1, 100)))


@pytest.mark.parametrize(
    ("small", "large", "bet_on"),
    [
        ((0, 0), (9, 900), 0),
        ((4, 100), (0, 0), 0),
        ((0, 1), (0, 1), 1),
        ((0, 0.5), (0, 0.5), 1),
        ((0, 100), (0, 900), 1),
    ],
)
def test_a_window_is_bet_on_where_both_arms_had_requests_whatever_became_of_them(
    small: tuple[float, float], large: tuple[float, float], bet_on: int
) -> None:
    bank = after(window(5, small, large)).bank

    assert bank.windows.tolist() == [bet_on] * len(bank.windows)
    assert bool(np.all(bank.log_unspent < 0)) == bool(bet_on)
    assert set(bank.total.tolist()) == {large[1]}


def test_before_it_settles_only_the_fast_path_looks() -> None:
    state = after(window(5, small=(80, 80), large=(0, 900), settled=False))

    assert rows(state, Kind.MAIN) == [0.0]
    assert rows(state, Kind.SAFE) == [0.0]
    assert rows(state, Kind.FAST)[0] > 0
    assert state.tallies[0].windows == 0


def test_early_completions_are_measured_against_the_asked_share_of_all_requests() -> None:
    """Of 1,000 requests the candidate was asked to take 100; the 20 that completed so far all failed.

    80 of the reference's are from before the step: it is asked for 900.
    """
    early = after(window(5, small=(20, 20), large=(0, 980), settled=False))
    whole = after(window(5, small=(20, 100), large=(0, 900)))

    assert rows(early, Kind.FAST) == rows(whole, Kind.FAST)


def test_what_both_arms_counted_is_never_made_less_of_the_candidates_and_more_of_the_reference() -> None:
    """Arms that are judged unequally often: 400 of the candidate's 490 judged are more than its asked share of 49."""
    early = after(window(5, small=(24, 400), large=(5, 90), settled=False))
    whole = after(window(5, small=(24, 400), large=(5, 90)))

    assert rows(early, Kind.FAST) == rows(whole, Kind.FAST)
    assert rows(early, Kind.FAST)[0] < 0


def test_a_reference_that_is_asked_for_nothing_is_not_compared_with_though_its_backlog_completes() -> None:
    asked = {"small": 1.0, "large": 0.0}
    for settled in (True, False):
        each = replace(window(5, small=(80, 100), large=(0, 300), settled=settled), asked=asked)
        state = after(each)

        assert rows(state, Kind.MAIN) == rows(state, Kind.FAST) == rows(state, Kind.SAFE) == [0.0]
        assert not state.bounds.any()
        assert state.tallies[0].reference_total == 0


def test_early_completions_are_never_fewer_than_the_failures_among_them() -> None:
    state = after(window(5, small=(150, 150), large=(0, 850), settled=False))

    assert rows(state, Kind.FAST) == rows(after(window(5, small=(150, 150), large=(0, 850))), Kind.FAST)


@pytest.mark.parametrize(
    ("objective", "small", "large"),
    [
        (Objective("errors", margin=0.3), (45, 100), (180, 900)),
        (Objective("errors", ratio=1.5), (85, 100), (540, 900)),
        (Objective("errors", limit=0.4), (38, 100), (9, 900)),
    ],
)
def test_the_fast_path_allows_all_that_the_objective_allows(
    objective: Objective, small: tuple[float, float], large: tuple[float, float]
) -> None:
    """25 points above the reference, where 30 are allowed; and the like for a ratio and for `max`."""
    design = Design((objective,), DESIGN.comparisons)
    found = known(*(window(5.0 * k, small, large) for k in range(1, 60)), design=design)

    assert dict(found.findings[0].contributions)["fast"] < 0
    assert not found.rollback_breached


def test_a_candidate_that_fails_outright_goes_back_after_one_or_two_windows() -> None:
    assert known(window(5, small=(30, 30)), window(10, small=(30, 30))).rollback_breached


def test_a_pod_that_fails_15_percent_for_one_window_does_not_decide() -> None:
    healthy = [window(5.0 * k, small=(1, 100), large=(9, 900)) for k in range(1, 20)]
    found = known(*healthy, window(100, small=(15, 100), large=(9, 900)), window(105, small=(1, 100), large=(9, 900)))

    assert not found.rollback_breached


def test_an_outage_that_hits_both_arms_alike_does_not_roll_back() -> None:
    windows = [
        window(5.0 * k, small=(40, 100), large=(360, 900)) if 10 <= k < 20 else window(5.0 * k) for k in range(1, 40)
    ]

    assert not known(*windows).rollback_breached


def test_windows_whose_pooled_table_shows_simpsons_paradox_do_not_roll_back() -> None:
    """In each window both arms are alike; pooled, the candidate looks twice as bad, as it had more of the bad hour."""
    calm = [window(5.0 * k, small=(1, 100), large=(18, 1_800)) for k in range(1, 21)]
    busy = [window(5.0 * k, small=(45, 900), large=(50, 1_000)) for k in range(21, 41)]
    found = known(*calm, *busy)
    tally = found.findings[0].tally

    assert tally.candidate_bad / tally.candidate_total > 1.5 * tally.reference_bad / tally.reference_total
    assert not found.rollback_breached


def test_harm_that_starts_after_hours_of_health_need_not_pay_those_hours_back() -> None:
    healthy = [window(5.0 * k, small=(1, 100), large=(9, 900)) for k in range(1, 1_000)]
    harmed = [window(5_000 + 5.0 * k, small=(5, 100), large=(9, 900)) for k in range(1, 60)]

    assert not known(*healthy).rollback_breached
    assert known(*healthy, *harmed).rollback_breached


@pytest.mark.parametrize(
    ("bad", "back"),
    [((1, 1, 1), True), ((1, 1), False), ((1, 0, 1, 0, 1, 0, 1), False), ((1, 1, 0, 1, 1), False)],
    ids=["three on end", "two", "four apart", "two and two"],
)
def test_late_in_an_attempt_three_bad_windows_on_end_decide_and_no_fewer(bad: tuple[int, ...], back: bool) -> None:
    """A sixth of the candidate's requests fail in a bad window: not enough for the fast path, plenty for the cap."""
    design = Design((ERRORS,), DESIGN.comparisons)
    healthy = [window(5.0 * k, small=(5, 600), large=(20, 2_400)) for k in range(1, 300)]
    late = [
        window(5.0 * (300 + k), small=(100, 600) if each else (5, 600), large=(20, 2_400)) for k, each in enumerate(bad)
    ]

    assert known(*healthy, *late, design=design).rollback_breached is back


def test_objectives_that_only_report_or_pause_take_nothing_from_those_that_roll_back() -> None:
    report = replace(ERRORS, name="report", action=Action.REPORT)
    pause = replace(ERRORS, name="pause", action=Action.PAUSE)
    design = Design((ERRORS, report, pause), DESIGN.comparisons)
    bad = [
        Window(
            each.start,
            each.end,
            {**each.outcomes, ("pause", "small"): Outcomes(100, (9,), 9), ("pause", "large"): Outcomes(900, (9,), 9)},
            each.asked,
            True,
        )
        for each in (window(5.0 * k, small=(1, 100), large=(9, 900)) for k in range(1, 60))
    ]
    found = known(*bad, design=design)

    assert found.pause_breached
    assert not found.rollback_breached
    assert found.rollback_log_evidence == known(*bad).rollback_log_evidence


def test_a_restart_after_any_window_gives_the_same_state_to_the_byte() -> None:
    windows = [window(5.0 * k, small=(k % 3, 100 + k), large=(k % 7, 900)) for k in range(1, 30)]
    whole = after(*windows)
    for cut in range(len(windows)):
        state = decode(DESIGN, encode(after(*windows[:cut])))
        for each in windows[cut:]:
            state = advance(DESIGN, state, each)
        assert encode(state) == encode(whole)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nonsense", "Expecting value"),
        ("[]", "of version None"),
        ('{"v":"0","until":5,"tracks":[]}', "of version '0', and this engine reads '3'"),
        ('{"v":"1","until":5,"tracks":[]}', "does not belong to this attempt"),
        (
            '{"v":"3","until":5,"asked":[],"rows":[],"tallies":[],"limited":[],"bounds":[],"recent":[],"blocks":[]}',
            "does not belong to this attempt",
        ),
        ('{"v":"3","until":5,"asked":[],"rows":[[[true],0,0,0,0,0]]}', "cannot be read"),
        ('{"v":"1","until":5,"tracks":[[[],[[],0,0,0],[0]]]}', "cannot be read"),
        ('{"v":"1"}', "cannot be read"),
    ],
)
def test_a_state_that_is_not_this_attempts_is_refused_in_a_sentence(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        decode(DESIGN, text)


@pytest.mark.parametrize("value", ["true", '"1"', "[1]"])
def test_a_state_with_something_else_in_a_numbers_place_is_refused(value: str) -> None:
    whole = encode(after(window(5.0)))

    with pytest.raises(ValueError, match="instead of a number"):
        decode(DESIGN, whole.replace('"until":5', f'"until":{value}'))


def test_bets_on_end_that_brought_the_most_are_kept_and_take_no_room_where_there_are_none() -> None:
    calm = after(window(5.0))
    bad = after(window(5.0, (5, 100)), window(10.0, (5, 100)))
    rows = [json.loads(encode(state))["rows"] for state in (calm, bad)]

    assert {row[6] for row in rows[0]} == {""}
    assert {len(row[6]) for row in rows[1]} == {0, 16}
    for state in (calm, bad):
        assert np.array_equal(decode(DESIGN, encode(state)).bank.hits, state.bank.hits)
    assert 0 < np.count_nonzero(bad.bank.hits[0]) < 16, "some alternatives of a row, and not all"


@pytest.mark.parametrize(
    ("text", "version"),
    [
        (encode(start(DESIGN)), ENGINE_VERSION),
        ('{"v":"1","until":5}', "1"),
        ('{"v":3}', None),
        ("{}", None),
        ("[]", None),
        ('"3"', None),
        ("not JSON", None),
        ("", None),
    ],
)
def test_which_engine_wrote_a_state_is_read_from_it_and_none_where_none_did(text: str, version: str | None) -> None:
    assert version_of(text) == version


def test_a_state_of_the_first_engine_before_any_window_is_read() -> None:
    process = f"[[{','.join(['null'] * 16)}],0,0,0]"
    state = decode(DESIGN, f'{{"v":"1","until":null,"tracks":[[[{process}],{process},[0,0,0,0,0,0]]]}}')

    assert state.until == -math.inf
    assert advance(DESIGN, state, window(5)) == after(window(5))


def test_a_state_of_the_first_engine_is_read_and_goes_on() -> None:
    capital = ",".join(["-1.5"] * 15 + ["null"])
    process = f"[[{capital}],3,27.0,2700.0]"
    state = decode(DESIGN, f'{{"v":"1","until":15.0,"tracks":[[[{process}],{process},[3.0,300.0,27.0,2700.0,3,1]]]}}')

    assert state.until == 15.0
    assert rows(state, Kind.MAIN)[0] == pytest.approx(math.log(15 * math.exp(-1.5) + float(unspent(3))))
    assert (state.tallies[0].candidate_bad, state.tallies[0].windows, state.tallies[0].skipped) == (3, 3, 1)
    assert decode(DESIGN, encode(state)) == state
    assert advance(DESIGN, state, window(20)).tallies[0].windows == 4


def test_an_objective_with_only_a_margin_and_no_reference_is_not_tested() -> None:
    no_reference = Design((ERRORS,), (Comparison("large", None),))

    assert known(window(5), design=no_reference).findings == ()


def test_the_cap_is_a_third_of_what_all_processes_need() -> None:
    assert least_cap(DESIGN, Action.ROLL_BACK) == pytest.approx(math.log(2 / 0.05) / 3)


def test_many_attempts_at_once_give_the_states_that_each_gives_alone() -> None:
    other = Design((replace(ERRORS, margin=0.0), Objective("slow", limit=0.05, boundaries=1)), DESIGN.comparisons)
    one, two = start(DESIGN), start(other)
    for k in range(1, 20):
        each = window(5.0 * k, small=(k % 4, 90 + k), large=(k % 5, 900))
        both = Window(
            each.start, each.end, {**each.outcomes, **window(5.0 * k, name="slow").outcomes}, each.asked, True
        )
        alone = advance(DESIGN, one, each), advance(other, two, both)
        one, two = advance_all([(DESIGN, one, each), (other, two, both)])
        assert (one, two) == alone
    assert advance_all([(DESIGN, one, window(5)), (other, two, window(5))]) == [one, two]


def test_many_attempts_at_once_are_known_as_each_is_alone() -> None:
    stricter = replace(DESIGN, beta=0.01)
    held = Design((replace(ERRORS, margin=None, limit=0.05), ERRORS), DESIGN.comparisons)
    several = Design((ERRORS, replace(ERRORS, name="slow")), DESIGN.comparisons)
    attempts = []
    for k, design in enumerate((DESIGN, stricter, held, several, DESIGN)):
        state = start(design)
        for look in range(1, 12):
            one = window(5.0 * look, small=(1 + k, 100), large=(30, 900))
            both = {**one.outcomes, **window(5.0 * look, name="slow", small=(2 + k, 100), large=(30, 900)).outcomes}
            state = advance(design, state, replace(one, outcomes=both))
        attempts.append((design, state))

    alone = [assess(*each) for each in attempts]

    assert assess_all(attempts) == alone
    assert alone[0] != alone[1] != alone[4], "what differs is in the margins that were refuted"
    assert [len(each.findings) for each in alone] == [1, 1, 2, 2, 1]
    assert assess_all([]) == []


@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_a_state_is_a_value_that_nothing_writes_into(attempts: int) -> None:
    """Attempts that were advanced together share their arrays."""
    given = [(DESIGN, start(DESIGN), window(5, small=(k, 100))) for k in range(attempts)]
    states = advance_all(given)

    assert [state == advance(*each) for state, each in zip(states, given, strict=True)] == [True] * attempts
    for state in states:
        with pytest.raises(ValueError, match="read-only"):
            state.bank.log_capital[0, 0] = 0.0


@pytest.mark.parametrize("settled", [True, False])
def test_of_four_objectives_one_that_always_fails_goes_back_after_two_looks_of_ten_requests(settled: bool) -> None:
    names = ("errors", "slow", "unsafe", "wrong")
    objectives = tuple(Objective(name, margin=0.005, boundaries=7 if name == "slow" else 1) for name in names)
    design = Design(objectives, DESIGN.comparisons, checks_split=True)

    def look(k: int) -> Window:
        outcomes = {}
        for objective in objectives:
            bad = 10.0 if objective.name == "errors" else 0.0
            outcomes[objective.name, "small"] = Outcomes(10, (bad,) * objective.boundaries, bad)
            outcomes[objective.name, "large"] = Outcomes(90, (1.0,) * objective.boundaries, 1)
        return Window(5.0 * k - 5, 5.0 * k, outcomes, {"small": 0.1, "large": 0.9}, settled, {"small": 10, "large": 90})

    assert known(look(1), look(2), design=design).rollback_breached


@pytest.mark.parametrize("others", [0, 2])
def test_an_objective_that_pauses_alone_needs_what_a_pause_needs_however_many_roll_back(others: int) -> None:
    """α is divided among those that lead to the same action."""
    rest = tuple(replace(ERRORS, name=f"other-{number}") for number in range(others))
    design = Design((replace(ERRORS, action=Action.PAUSE), *rest), DESIGN.comparisons)
    state, told = start(design), []
    for look in range(1, 60):
        outcomes = {
            key: each
            for name in ("errors", *(objective.name for objective in rest))
            for key, each in window(5.0 * look, name=name, small=(1.5 if name == "errors" else 0, 100)).outcomes.items()
        }
        state = advance(design, state, replace(window(5.0 * look), outcomes=outcomes))
        assessed = assess(design, state)
        told.append(assessed.findings[0].log_e)
        assert (assessed.findings[0].knowledge is Knowledge.HARMFUL) == assessed.pause_breached

    assert any(math.log(20) <= each < math.log(40) for each in told), "it passed through where another limit would be"
    assert told[-1] > math.log(20)
