"""The state machine, in the situations that a rollout meets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from modelroute.analysis.design import Action, Objective, Outcomes
from modelroute.analysis.engine import assess
from modelroute.analysis.state import encode
from modelroute.rollout.attempt import Record, Requirement, Stage, Step, weights_of
from modelroute.rollout.consume import consume, looks_from
from modelroute.rollout.decision import Decision, Phase
from modelroute.rollout.evidence import Unknown, WindowReading
from modelroute.rollout.gates import CHECKS
from modelroute.rollout.going_back import SILENCE_DEADLINE_S
from modelroute.rollout.harm import harm_in
from modelroute.rollout.machine import decide
from modelroute.rollout.observation import Acceptance, Gateway, Look, Observation, Problem, Terms
from modelroute.rollout.plan import Plan, revision_of
from modelroute.rollout.reasons import Reason
from modelroute.rollout.refusing import Refusal, refusal_of
from modelroute.rollout.resting import stable_split
from modelroute.rollout.split import Backend, Share, Split, in_words
from modelroute.rollout.watching import TIDY_AFTER_S

WINDOW_S = 5.0
T0 = 1_000_000.0
LARGE, SMALL, NEWER = (Backend("chat", name, 8000) for name in ("llama-70b", "llama-8b", "llama-8b-v2"))
ERRORS = (Objective("errors", margin=0.005),)
STEPS = tuple(Step(progress, 20.0, 50) for progress in (25, 50, 100))
TERMS = Terms(window_s=WINDOW_S, settle_min_s=5.0, scrape_interval_s=1.0)


def plan(small: int = 4_000, backend: Backend = SMALL, **changes: Any) -> Plan:
    split: Split = (Share("large", LARGE, 10_000 - small), Share("small", backend, small))
    made = Plan(split, "large", "large", ERRORS, STEPS, 0.05, 0.05, revision_of(split, ERRORS, (("ErrorRate",),)))
    return replace(made, **changes)


def gateway(split: Split | None, acceptance: Acceptance = Acceptance.LIVE, **more: Any) -> Gateway:
    weights = {share.backend: share.weight for share in split or ()}
    return Gateway(acceptance, weights=weights, **more)


def reading(end: float, counts: Mapping[str, tuple[int, int]]) -> WindowReading:
    """(bad, total) of each arm."""
    outcomes = {("errors", arm): Outcomes(total, (bad,), bad) for arm, (bad, total) in counts.items()}
    return WindowReading(end - WINDOW_S, end, outcomes, {arm: total for arm, (_, total) in counts.items()}, ())


class World:
    """A gateway that takes what it is asked for, metrics, and a clock: what surrounds the machine."""

    def __init__(self, wanted: Plan | None = None) -> None:
        self.now = T0
        self.plan: Plan | None = wanted or plan()
        self.record: Record | None = None
        self.split: Split | None = None
        self.acceptance = Acceptance.ABSENT
        self.rollback_of = ""
        self.stable: Split | None = None
        self.attempts = 0
        self.problems: tuple[Problem, ...] = ()
        self.look_problem: Unknown | None = None
        self.unknown: tuple[Unknown, ...] = ()
        self.small_bad_share = 0.0
        self.large_bad_share = 0.0
        self.requests = 600
        self.bad_until = math.inf
        self.refused: Refusal | None = None
        self.extra_share = 1.0
        self.decisions: list[Decision] = []

    def observation(self) -> Observation:
        until = (self.now - 2.0) // WINDOW_S * WINDOW_S
        since = until - WINDOW_S
        live = self.record is None or not self.record.progress.stage.under_way
        if not live and self.record is not None:
            rolling = self.record.progress.stage is Stage.ROLLING_BACK
            live = self.record.progress.live_at is not None or not rolling
            since = looks_from(self.record)
        readings = []
        while live and since < until and self.look_problem is None:
            since += WINDOW_S
            found = reading(since, self._counts(since))
            readings.append(replace(found, unknown=self.unknown))
        return Observation(
            name="support",
            plan=self.plan,
            problems=self.problems,
            record=self.record,
            attempts=self.attempts,
            noted=None,
            gateway=gateway(self.split, self.acceptance, stable=self.stable, rollback_of=self.rollback_of),
            look=Look(until, tuple(readings), self.look_problem),
            terms=TERMS,
            refused=self.refused,
        )

    def _counts(self, until: float) -> dict[str, tuple[int, int]]:
        """Candidates fail with `small_bad_share` until `bad_until`, everybody else with `large_bad_share`."""
        weights = {share.backend: share.weight for share in self.split or ()}
        arms = self.record.attempt.arms if self.record is not None else ()
        gains = {arm.backend: (arm.name, arm.gains) for arm in arms}
        counts = {}
        for backend in {**dict.fromkeys(weights), **dict.fromkeys(gains)}:
            name, candidate = gains.get(backend, ("large" if backend == LARGE else "small", False))
            total = round(self.requests * weights.get(backend, 0) / 10_000 * (self.extra_share if candidate else 1.0))
            bad = self.small_bad_share if candidate else self.large_bad_share
            counts[name] = round(total * (bad if until <= self.bad_until else 0.0)), total
        return counts

    def tick(self, seconds: float = 1.0) -> Decision:
        """Let time pass, decide, and do as decided."""
        self.now += seconds
        decision = decide(self.observation(), self.now)
        self.decisions.append(decision)
        if decision.record is not None:
            self.record = decision.record
            self.attempts = decision.record.attempt.number
        if decision.order is not None:
            self.split, self.stable = decision.order.split, decision.order.stable
            self.rollback_of = decision.order.rollback_of
            if self.acceptance is Acceptance.ABSENT:
                self.acceptance = Acceptance.LIVE
        return decision

    def run_until(self, phase: Phase, *, within: int = 400) -> Decision:
        for _ in range(within):
            decision = self.tick()
            if decision.phase is phase:
                return decision
        seen = [f"{d.phase}: {d.message}" for d in self.decisions[-3:]]
        raise AssertionError(f"never {phase}; last: {seen}")

    def live(self) -> str:
        return in_words({share.model: share.weight for share in self.split or ()})


def at_step(number: int) -> World:
    """A world whose rollout has the step of that number (from 0) live."""
    world = World()
    for _ in range(400):
        world.tick()
        if (
            world.record is not None
            and world.record.progress.step == number
            and world.record.progress.live_at is not None
        ):
            return world
    raise AssertionError(f"step {number} was never live")


def test_the_first_apply_is_a_canary_from_all_of_the_traffic_on_the_initial_model() -> None:
    world = World()

    first = world.tick()

    assert first.phase is Phase.PENDING
    assert world.live() == "large 100 %"
    world.run_until(Phase.PROGRESSING)
    assert world.live() == "small 10 %, large 90 %"


def test_a_healthy_rollout_goes_step_by_step_and_ends_stable() -> None:
    world = World()
    splits: list[str] = []
    while not splits or world.decisions[-1].reason is not Reason.PROMOTED:
        world.tick()
        if not splits or splits[-1] != world.live():
            splits.append(world.live())
        assert len(world.decisions) < 400

    assert splits == [
        "large 100 %",
        "small 10 %, large 90 %",
        "small 20 %, large 80 %",
        "small 40 %, large 60 %",
    ]
    assert world.tick().phase is Phase.STABLE
    assert world.record is not None
    assert world.record.progress.stage is Stage.PROMOTED


def test_a_failing_candidate_goes_back_to_its_stable_weight_and_stays_there() -> None:
    world = at_step(1)
    world.small_bad_share = 0.4

    harmed = world.run_until(Phase.ROLLING_BACK)

    assert world.live() == "large 100 %"
    assert harmed.order is not None
    assert harmed.order.rollback_of == "support-1"
    done = world.run_until(Phase.ROLLED_BACK)
    assert done.stalled
    for _ in range(50):
        assert world.tick(10).phase is Phase.ROLLED_BACK
    assert world.live() == "large 100 %"


def test_a_candidate_that_fails_from_its_first_request_goes_back_before_its_step_has_settled() -> None:
    world = World()
    world.small_bad_share = 1.0
    world.run_until(Phase.PROGRESSING)
    began = world.now

    world.run_until(Phase.ROLLING_BACK)

    assert world.now - began <= 3 * WINDOW_S + 2


def test_a_candidate_with_no_traffic_is_never_promoted() -> None:
    world = at_step(0)
    world.requests = 0
    for _ in range(300):
        world.tick()

    assert world.live() == "small 10 %, large 90 %"
    assert any("0 of 50 requests by small (none is coming)" in lack for lack in world.decisions[-1].lacking)


def test_unknown_is_never_a_pass() -> None:
    world = at_step(0)
    world.unknown = (Unknown(Reason.SCRAPE_GAP, "a target was not scraped"),)
    for _ in range(200):
        world.tick()

    assert world.live() == "small 10 %, large 90 %"
    assert (world.decisions[-1].phase, world.decisions[-1].reason) == (Phase.HOLDING, Reason.SCRAPE_GAP)


def test_a_silent_prometheus_holds_and_the_rollout_goes_on_where_it_was() -> None:
    world = at_step(0)
    world.look_problem = Unknown(Reason.PROMETHEUS_UNAVAILABLE, "Prometheus default: no answer")
    for _ in range(200):
        world.tick()
    held = world.decisions[-1]

    assert (held.phase, held.reason) == (Phase.HOLDING, Reason.PROMETHEUS_UNAVAILABLE)
    assert world.live() == "small 10 %, large 90 %"
    world.look_problem = None
    world.run_until(Phase.STABLE)


def test_no_weight_rises_before_the_metrics_can_be_read() -> None:
    world = World()
    world.look_problem = Unknown(Reason.PROMETHEUS_UNAVAILABLE, "Prometheus default: no answer")
    for _ in range(30):
        world.tick()

    assert world.live() == "large 100 %"
    assert world.decisions[-1].reason is Reason.PROMETHEUS_UNAVAILABLE


@pytest.mark.parametrize("acceptance", [Acceptance.WAITING, Acceptance.REJECTED])
def test_a_step_that_the_gateway_does_not_take_is_not_left(acceptance: Acceptance) -> None:
    world = World()
    world.run_until(Phase.PROGRESSING)
    world.acceptance = acceptance
    for _ in range(200):
        world.tick()

    assert world.live() == "small 10 %, large 90 %"
    assert world.decisions[-1].phase is Phase.HOLDING


def test_the_window_in_which_the_weights_changed_brings_nothing() -> None:
    world = World()
    world.run_until(Phase.PROGRESSING)
    world.tick()
    assert world.record is not None
    live_at, consumed = world.record.progress.live_at, world.record.progress.consumed_until

    assert live_at is not None
    assert consumed >= live_at
    assert consumed % WINDOW_S == 0


def test_the_requests_of_a_step_are_counted_anew() -> None:
    world = at_step(1)

    assert world.record is not None
    assert sum(world.record.progress.requests.values()) <= 120


def test_a_step_lasts_its_time_however_good_it_looks() -> None:
    world = World()
    world.run_until(Phase.PROGRESSING)
    began = world.now
    while world.live() == "small 10 %, large 90 %":
        world.tick()

    assert world.now - began >= STEPS[0].min_duration_s


def test_a_change_of_the_spec_takes_the_old_candidate_back_before_a_new_attempt_starts() -> None:
    world = at_step(1)
    world.plan = plan(small=2_000)

    changed = world.tick()

    assert changed.phase is Phase.ROLLING_BACK
    assert world.live() == "large 100 %"
    world.run_until(Phase.PROGRESSING)
    assert world.record is not None
    assert (world.record.attempt.number, world.live()) == (2, "small 5 %, large 95 %")


def test_a_change_back_to_the_stable_split_is_a_rollback_without_blame() -> None:
    world = at_step(1)
    world.plan = plan(small=0)

    world.run_until(Phase.STABLE)

    assert world.live() == "large 100 %"
    assert world.record is not None
    assert world.record.progress.stage is Stage.SUPERSEDED


def test_a_rolled_back_spec_is_tried_again_only_when_it_changes() -> None:
    world = at_step(0)
    world.small_bad_share = 0.5
    world.run_until(Phase.ROLLED_BACK)
    world.small_bad_share = 0.0
    world.tick()
    world.plan = plan(small=3_000)

    world.run_until(Phase.PROGRESSING)

    assert world.record is not None
    assert world.record.attempt.number == 2


@pytest.mark.parametrize("stage", ["progressing", "at rest"])
def test_a_spec_that_cannot_be_carried_out_moves_no_traffic(stage: str) -> None:
    world = at_step(1) if stage == "progressing" else World()
    world.run_until(Phase.STABLE) if stage == "at rest" else None
    before = world.live()
    world.plan = plan(small=9_000)
    world.problems = (Problem(Reason.BACKEND_NOT_FOUND, "spec.models[1].backendRef: Service x does not exist"),)
    for _ in range(100):
        world.tick()

    assert world.live() == before
    assert world.decisions[-1].reason is Reason.BACKEND_NOT_FOUND
    assert "does not exist" in world.decisions[-1].message


def test_harm_goes_back_even_while_the_spec_is_paused_or_cannot_be_carried_out() -> None:
    world = at_step(1)
    world.plan = plan(paused=True)
    world.problems = (Problem(Reason.BACKEND_UNKNOWN, "the API server did not answer"),)
    world.small_bad_share = 0.5

    world.run_until(Phase.ROLLING_BACK)

    assert world.live() == "large 100 %"


def test_paused_stops_promotion_and_goes_on_where_it_was() -> None:
    world = at_step(1)
    world.plan = plan(paused=True)
    for _ in range(100):
        world.tick()

    assert (world.live(), world.decisions[-1].phase) == ("small 20 %, large 80 %", Phase.PAUSED)
    world.plan = plan()
    world.run_until(Phase.STABLE)


def test_a_rollback_that_reached_only_the_route_is_taken_up_from_there() -> None:
    world = at_step(1)
    world.rollback_of = "support-1"

    decision = world.tick()

    assert decision.phase is Phase.ROLLING_BACK
    assert world.record is not None
    assert world.record.progress.stage is Stage.ROLLING_BACK


def test_a_rollback_waits_to_see_that_the_candidate_gets_no_more_requests() -> None:
    world = at_step(1)
    world.small_bad_share = 0.5
    world.run_until(Phase.ROLLING_BACK)
    went_back = world.now
    world.look_problem = Unknown(Reason.PROMETHEUS_UNAVAILABLE, "Prometheus default: no answer")

    done = world.run_until(Phase.ROLLED_BACK, within=400)

    assert world.now - went_back >= SILENCE_DEADLINE_S
    assert "not seen to stop within 5m: small" in done.message


def test_a_restart_after_an_hour_takes_no_step_early_and_counts_no_window_twice() -> None:
    world = at_step(0)
    twin = at_step(0)
    world.tick(3600)
    for _ in range(3600):
        twin.tick()
        if twin.record is not None and twin.record.progress.step != 0:
            break

    assert world.record is not None
    assert world.record.progress.step <= 1
    again = decide(world.observation(), world.now)
    assert again.record is not None
    assert encode(again.record.progress.engine) == encode(world.record.progress.engine)


def test_a_route_that_exists_decides_where_a_first_rollout_starts() -> None:
    world = World(plan(small=4_000))
    world.split = (Share("large", LARGE, 8_000), Share("small", SMALL, 2_000))
    world.acceptance, world.stable = Acceptance.LIVE, world.split

    world.run_until(Phase.PROGRESSING)

    assert world.live() == "small 25 %, large 75 %"


def test_a_foreign_route_is_never_touched() -> None:
    world = World()
    world.acceptance = Acceptance.FOREIGN

    decision = world.tick()

    assert (decision.order, decision.reason, decision.stalled) == (None, Reason.ROUTE_NOT_OURS, True)


def test_arms_at_nothing_are_tidied_away_once_their_requests_have_been_answered() -> None:
    world = World(plan(backend=SMALL))
    world.run_until(Phase.STABLE)
    world.plan = plan(backend=NEWER)
    world.run_until(Phase.PROGRESSING)
    while world.decisions[-1].reason is not Reason.PROMOTED:
        world.tick()
        assert len(world.decisions) < 600
    world.tick()
    assert {share.backend for share in world.split or ()} == {LARGE, SMALL, NEWER}

    world.tick(TIDY_AFTER_S)

    assert {share.backend for share in world.split or ()} == {LARGE, NEWER}


def test_the_checks_of_a_step_are_asked_in_the_order_in_which_people_want_to_hear_of_them() -> None:
    assert [check.__name__ for check in CHECKS] == [
        "route_is_ours_alone",
        "gateway_is_live",
        "spec_can_be_carried_out",
        "way_back_is_open",
        "not_paused",
        "nothing_to_pause_for",
        "is_in_time",
        "clock_is_not_behind",
        "evidence_is_current",
        "split_is_as_asked",
        "reference_keeps_the_bound",
        "evidence_does_not_lean_to_harm",
        "nothing_is_worse_than_its_reference_was",
        "no_comparison_ends_in_doubt",
        "has_settled",
        "something_was_counted",
        "has_lasted",
        "has_seen_enough",
        "is_proven_safe",
        "is_approved",
    ]


def test_a_clock_that_was_set_back_holds_until_it_has_caught_up() -> None:
    """What was looked at lies ahead: harm would not be seen, so no step is left meanwhile, also not by approval."""
    world = World(plan(steps=tuple(replace(step, approval=True) for step in STEPS)))
    world.run_until(Phase.AWAITING_APPROVAL)
    for _ in range(800):
        world.tick(5.0)
    assert world.record is not None
    world.now -= 3600.0
    world.record = replace(world.record, progress=replace(world.record.progress, approved=True))
    held = world.tick()
    assert (held.phase, held.reason) == (Phase.HOLDING, Reason.CLOCK_BEHIND)
    assert "was set back" in held.message
    for _ in range(100):
        assert world.tick(30.0).phase is Phase.HOLDING
    assert world.record.progress.step == 0
    world.now += 600.0
    world.tick()

    assert world.record.progress.step == 1


def proving(*, last: Requirement = Requirement.NOT_HARMFUL) -> tuple[Step, ...]:
    proof = Step(50, 20.0, 50, require=Requirement.PROVEN_SAFE)
    return (proof, Step(100, 20.0, 50, require=last))


def test_a_step_that_asks_for_proof_waits_for_it_and_says_what_it_lacks() -> None:
    world = World(plan(steps=proving(), objectives=(Objective("errors", margin=0.003),)))
    world.run_until(Phase.PROGRESSING)
    for _ in range(40):
        world.tick()
    waiting = world.decisions[-1]

    assert world.live() == "small 20 %, large 80 %"
    assert waiting.reason is Reason.PROVING_SAFETY
    assert "small is not proven safe on errors yet, it could still be up to" in waiting.message
    world.run_until(Phase.STABLE)


def test_a_candidate_as_bad_as_the_margin_never_passes_a_step_that_asks_for_proof() -> None:
    world = World(plan(steps=proving(), objectives=(Objective("errors", margin=0.05),)))
    world.small_bad_share = 0.05
    for _ in range(300):
        world.tick()

    assert world.live() == "small 20 %, large 80 %"


def test_proof_at_the_end_is_refused_where_the_old_version_has_no_traffic_left_to_compare_with() -> None:
    world = World()
    world.run_until(Phase.STABLE)
    world.plan = plan(backend=NEWER, steps=proving(last=Requirement.PROVEN_SAFE))

    refused = world.run_until(Phase.HOLDING)

    assert "spec.rollout.steps[1]: at 100 % small@llama-8b has no traffic left" in refused.message
    assert (refused.stalled, world.live()) == (True, "small 40 %, large 60 %")


def test_a_bound_that_the_reference_breaks_too_holds_and_blames_nobody() -> None:
    world = World(plan(objectives=(Objective("errors", limit=0.01),)))
    world.run_until(Phase.PROGRESSING)
    world.small_bad_share = world.large_bad_share = 0.1
    for _ in range(200):
        world.tick()

    assert world.decisions[-1].reason is Reason.REFERENCE_BREACHES_TOO
    assert world.decisions[-1].phase is Phase.HOLDING
    assert world.live() != "small 40 %, large 60 %"


def test_a_bound_that_the_candidate_alone_breaks_goes_back() -> None:
    world = World(plan(objectives=(Objective("errors", limit=0.01),)))
    world.run_until(Phase.PROGRESSING)
    world.small_bad_share = 0.1

    world.run_until(Phase.ROLLING_BACK)

    assert world.live() == "large 100 %"


def test_a_candidate_that_does_not_answer_is_harm_and_not_a_lack_of_data() -> None:
    world = at_step(0)
    world.extra_share = 0.0

    gone = world.run_until(Phase.ROLLING_BACK)

    assert "small does not answer" in " ".join(said.message for said in gone.announcements)


def test_a_candidate_with_more_requests_than_its_share_is_not_promoted() -> None:
    world = World()
    world.extra_share = 3.0
    world.run_until(Phase.PROGRESSING)
    for _ in range(300):
        world.tick()

    assert world.decisions[-1].reason is Reason.SAMPLE_RATIO_MISMATCH
    assert world.live() != "small 40 %, large 60 %"


def test_arms_of_finished_attempts_take_no_part_in_the_next_one() -> None:
    world = World()
    world.run_until(Phase.STABLE)
    for number in range(20):
        version = Backend("chat", f"llama-8b-v{number}", 8000)
        world.plan = plan(backend=version)
        world.small_bad_share = 0.6 if number % 2 else 0.0
        world.run_until(Phase.PROGRESSING)
        world.run_until(Phase.ROLLED_BACK if number % 2 else Phase.STABLE)
        assert world.record is not None
        assert len(world.record.attempt.arms) == 3


def test_a_rollback_ends_although_the_candidates_service_is_gone() -> None:
    """At weight 0 it still keeps the gateway from resolving the route: it is left out."""
    world = at_step(1)
    world.small_bad_share = 1.0
    world.run_until(Phase.ROLLING_BACK)
    world.acceptance = Acceptance.REJECTED
    world.tick()
    assert {share.backend for share in world.split or ()} == {LARGE}
    world.acceptance = Acceptance.LIVE

    world.run_until(Phase.ROLLED_BACK)


def test_a_rollback_that_the_gateway_never_confirms_ends_and_says_so() -> None:
    world = at_step(1)
    world.small_bad_share = 1.0
    world.run_until(Phase.ROLLING_BACK)
    world.acceptance = Acceptance.WAITING

    done = world.run_until(Phase.ROLLED_BACK)

    assert "not confirmed by the gateway within 5m" in done.message


def test_harm_is_looked_for_while_a_step_waits_for_a_gateway_that_keeps_silent() -> None:
    world = World()
    world.run_until(Phase.PROGRESSING)
    world.acceptance = Acceptance.WAITING
    world.small_bad_share = 0.5

    world.run_until(Phase.ROLLING_BACK)

    assert world.live() == "large 100 %"


def test_what_a_silent_gateway_seems_to_prove_opens_no_gate_once_it_reports() -> None:
    """It may have served the old split all the while."""
    world = World(plan(steps=proving(), objectives=(Objective("errors", margin=0.3),)))
    world.run_until(Phase.PROGRESSING)
    world.acceptance = Acceptance.WAITING
    assert world.record is not None
    world.record = replace(world.record, progress=replace(world.record.progress, live_at=None))
    for _ in range(120):
        world.tick()
    assert assess(world.record.attempt.design, world.record.progress.engine).proven_safe

    world.acceptance = Acceptance.LIVE
    world.tick()

    found = assess(world.record.attempt.design, world.record.progress.engine)
    assert world.record.progress.live_at is not None
    assert not found.proven_safe
    assert found.findings[0].worst_difference is None
    world.run_until(Phase.STABLE)


def test_a_proof_starts_afresh_at_a_step_that_asks_for_the_same_weights() -> None:
    """0.1 % of the way in whole numbers: two steps may come to the same."""
    steps = (Step(5, 20.0, 1), Step(10, 20.0, 1, require=Requirement.PROVEN_SAFE), Step(100, 20.0, 50))
    world = World(plan(small=10, steps=steps, objectives=(Objective("errors", margin=0.3),)))
    world.requests = 2_000_000
    world.run_until(Phase.PROGRESSING)
    while world.record is None or world.record.progress.step == 0:
        world.tick()

    assert not assess(world.record.attempt.design, world.record.progress.engine).proven_safe


def test_a_revert_goes_back_whatever_is_wrong_with_the_spec() -> None:
    world = at_step(1)
    world.plan = plan(small=0)
    world.problems = (Problem(Reason.NO_READY_ENDPOINTS, "spec.models[1].backendRef: no ready endpoint"),)

    world.run_until(Phase.ROLLING_BACK)

    assert world.live() == "large 100 %"


def test_what_decided_inside_a_batch_that_was_read_late_is_not_taken_away_by_what_came_after() -> None:
    world = at_step(1)
    world.bad_until = world.now + 40
    world.small_bad_share = 0.5
    world.tick(400)

    world.run_until(Phase.ROLLING_BACK, within=3)


def test_a_breach_that_pauses_stays_until_the_spec_changes() -> None:
    paused = (Objective("errors", Action.PAUSE, margin=0.005),)
    world = World(plan(objectives=paused))
    world.run_until(Phase.PROGRESSING)
    world.small_bad_share = 0.5
    world.run_until(Phase.PAUSED)
    world.small_bad_share = 0.0
    for _ in range(300):
        world.tick()

    assert world.decisions[-1].phase is Phase.PAUSED


def test_a_backend_that_is_not_well_does_not_stall_a_route_on_which_nothing_is_to_move() -> None:
    world = World()
    world.run_until(Phase.STABLE)
    world.problems = (Problem(Reason.NO_READY_ENDPOINTS, "spec.models[1].backendRef: no ready endpoint"),)

    assert world.tick().phase is Phase.STABLE


def test_a_rolled_back_spec_is_not_tried_again_because_its_record_was_deleted() -> None:
    world = at_step(0)
    world.small_bad_share = 0.5
    world.run_until(Phase.ROLLED_BACK)
    assert world.record is not None
    world.refused, world.record = refusal_of(world.record), None

    for _ in range(20):
        assert world.tick().phase is Phase.ROLLED_BACK


def test_a_new_version_that_fails_once_the_old_one_has_no_traffic_left_is_not_promoted() -> None:
    world = World()
    world.run_until(Phase.STABLE)
    world.plan = plan(backend=NEWER)
    world.run_until(Phase.PROGRESSING)
    while world.record is None or "small@llama-8b" in in_words(weights_of(world.record)):
        world.tick()
    world.small_bad_share = 0.5
    for _ in range(100):
        world.tick()

    assert world.decisions[-1].phase is Phase.HOLDING
    assert "so only an objective with max would roll back" in world.decisions[-1].message


def test_the_stable_split_is_taken_from_the_last_attempt_before_anything_else() -> None:
    world = at_step(0)
    world.stable = (Share("small", SMALL, 10_000),)

    found = stable_split(world.observation())

    assert found is not None
    assert in_words({share.model: share.weight for share in found}) == "large 100 %"


def test_the_weights_that_an_attempt_asks_for_follow_from_what_is_written_down() -> None:
    world = at_step(1)
    assert world.record is not None

    assert weights_of(world.record) == {"large": 8_000, "small": 2_000}


def test_a_rollback_before_the_split_has_settled_tells_what_was_counted_meanwhile() -> None:
    world = World()
    world.small_bad_share = 1.0

    decision = next(each for each in (world.tick() for _ in range(60)) if each.phase is Phase.ROLLING_BACK)

    assert world.record is not None
    verdict = world.record.progress.verdict
    assert verdict is not None
    assert "60 of 60 bad against 0 of 540 by large, while the split settled" in verdict.message
    assert verdict.message in decision.message
    assert "0 of 0" not in verdict.message


def test_a_rollback_whose_windows_all_go_back_to_before_the_split_settled_tells_what_the_step_counted() -> None:
    """After a missed scrape a window is settled by its place in time, and what it counted is not."""
    record = at_step(0).record
    assert record is not None
    assert record.progress.live_at is not None
    live_at, until = record.progress.live_at, record.progress.consumed_until + 60.0
    late = [replace(reading(until + at, {"small": (60, 60), "large": (0, 540)}), counted_from=live_at) for at in (0, 5)]
    record = consume(record, late, TERMS.scrape_interval_s)
    found = assess(record.attempt.design, record.progress.engine)
    verdict = harm_in(record, found, TERMS.scrape_interval_s, until)

    assert verdict is not None
    assert "small is worse on errors than allowed: 60 of 60 bad against 0 of 540 by large" in verdict.message


def test_more_tests_than_a_record_can_keep_are_refused_before_any_weight_rises() -> None:
    world = World()
    world.run_until(Phase.STABLE)
    before = world.live()
    many = tuple(Objective(f"slow-{place}", margin=0.01, limit=0.05, boundaries=20) for place in range(16))
    models = tuple(Backend("chat", f"llama-{place}", 8000) for place in range(7))
    split = (Share("large", LARGE, 3_000), *(Share(each.name, each, 1_000) for each in models))
    world.plan = plan(split=split, objectives=many, revision="of many")

    refused = world.run_until(Phase.HOLDING)

    assert refused.reason is Reason.INVALID_SPEC
    assert "16 of them for 7 candidates at once" in refused.message
    assert (refused.stalled, world.live()) == (True, before)
