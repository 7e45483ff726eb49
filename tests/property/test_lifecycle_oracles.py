"""The invariants of `test_lifecycle_model` notice what they are for: the machine is broken in one way at a time.

Each break comes with the shortest play in which it shows, and the same play goes through on the machine as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.fakes import Kind
from tests.property.test_lifecycle_model import SECRET, AdoptedLifecycle, Lifecycle

from modelroute.analysis.engine import start
from modelroute.controller import tick
from modelroute.errors import Unavailable
from modelroute.gateway import adopted, adopted_routes
from modelroute.rollout import attempt, consume, evidence_gates, gates, machine, resting, split, under_way
from modelroute.rollout.attempt import Record, Stage
from modelroute.rollout.decision import Decision
from modelroute.rollout.observation import Observation

Patch = pytest.MonkeyPatch
Play = Callable[[Lifecycle], None]


# The plays.


def to_the_end(model: Lifecycle) -> None:
    model.applied(False, "24h", "Hold")
    model.weights_are_applied(60, 40)
    model.time_passes(40)


def aborted(model: Lifecycle) -> None:
    model.applied(False, "24h", "Hold")
    model.weights_are_applied(60, 40)
    model.time_passes(2)
    model.a_verb_is_said("abort", False)
    model.time_passes(20)


def harmed(model: Lifecycle) -> None:
    model.applied(False, "24h", "Hold")
    model.weights_are_applied(60, 40)
    model.failures_come_and_go("small-v1", 0.3, False)
    model.time_passes(40)


def to_and_fro(model: Lifecycle) -> None:
    """The split is live at another moment of a window each time."""
    model.applied(False, "24h", "Hold")
    for small in (40, 0, 30, 0, 40):
        model.world.now += 1.3
        model.weights_are_applied(100 - small if small else 100, small)
        model.time_passes(20)


def approved_blindly(model: Lifecycle) -> None:
    model.applied(True, "24h", "Hold")
    model.weights_are_applied(60, 40)
    model.time_passes(10)
    model.prometheus_is(True, False)
    model.a_verb_is_said("approve", False)
    model.time_passes(5)


def approved_without_counts(model: Lifecycle) -> None:
    model.applied(True, "24h", "Hold")
    model.weights_are_applied(60, 40)
    model.time_passes(10)
    model.prometheus_is(False, True)
    model.time_passes(10)
    model.a_verb_is_said("approve", False)
    model.time_passes(5)


def approved_once_restored(model: Lifecycle) -> None:
    """At a gate where all was met, somebody edits the weights; a person approves right after they are restored."""
    model.applied(True, "24h", "Hold")
    model.weights_are_applied(60, 40)
    model.time_passes(20)
    model.somebody_edits_the_route(0, 1)
    model.time_passes(2)
    model.a_verb_is_said("approve", False)
    model.time_passes(5)


def with_a_silent_gateway(model: Lifecycle) -> None:
    """The first step was live; no later one ever is."""
    model.applied(False, "24h", "Hold")
    model.weights_are_applied(60, 40)
    model.the_gateway("keeps silent")
    model.time_passes(40)


def at_a_gate(model: Lifecycle) -> None:
    model.applied(True, "24h", "Hold")
    model.weights_are_applied(60, 40)
    model.time_passes(10)
    model.teardown()


def aborted_and_its_record_deleted(model: Lifecycle) -> None:
    aborted(model)
    model.somebody_deletes_the_record()
    model.time_passes(20)


def read_before_again_and_again(model: Lifecycle) -> None:
    """Two operators all the while; one of them has read what was there three looks ago."""
    model.applied(False, "24h", "Hold")
    model.weights_are_applied(60, 40)
    for _ in range(8):
        model.another_operator_acts_on_what_it_read_before(3)


def silent_while_going_back(model: Lifecycle) -> None:
    model.applied(False, "24h", "Hold")
    model.weights_are_applied(60, 40)
    model.time_passes(2)
    model.a_verb_is_said("abort", False)
    model.teardown()


# The breaks.


def without(check: gates.Check, *more: gates.Check) -> Callable[[Patch], None]:
    left = tuple(each for each in gates.CHECKS if each not in {check, *more})
    return lambda patch: patch.setattr(gates, "CHECKS", left)


def weights_do_not_add_up(patch: Patch) -> None:
    really = split.weights_at
    patch.setattr(
        attempt, "weights_at", lambda arms, progress: {n: w and w - 1 for n, w in really(arms, progress).items()}
    )


def a_weight_below_nothing(patch: Patch) -> None:
    really = split.weights_at

    def broken(arms: Any, progress: int) -> dict[str, int]:
        first, *others = really(arms, progress).items()
        return {first[0]: first[1] + 20_000, **{name: weight - 20_000 for name, weight in others}}

    patch.setattr(attempt, "weights_at", broken)


def steps_are_left_without_a_pass(patch: Patch) -> None:
    patch.setattr(under_way, "lacks", lambda _view: ())


def a_weight_rises_before_its_step(patch: Patch) -> None:
    """One window of the step is seen, and the route is given the next step's split."""

    def broken(record: Record) -> dict[str, int]:
        progress = record.progress
        further = min(progress.step + bool(progress.step_counts), len(record.attempt.steps) - 1)
        return attempt.weights_of(Record(record.attempt, replace(progress, step=further)))

    patch.setattr(under_way, "weights_of", broken)


def nothing_is_fenced(patch: Patch) -> None:
    """Whatever is written is taken over whatever is there."""
    patch.setattr(Kind, "_check_version", staticmethod(lambda _before, _body: None))
    really = adopted.patch_of

    def broken(*args: Any, fenced: bool) -> list[Any]:
        return really(*args, fenced=False)

    patch.setattr(adopted_routes, "patch_of", broken)


def the_gateway_is_not_asked(patch: Patch) -> None:
    patch.setattr(under_way, "_is_live", lambda _seen, _record: True)
    without(gates.gateway_is_live)(patch)


def the_split_does_not_settle(patch: Patch) -> None:
    """What is counted right after the weights changed is evidence already."""
    patch.setattr(consume, "settled_at", lambda record, _scrape_s: record.progress.live_at)
    patch.setattr(evidence_gates, "settled_at", lambda record, _scrape_s: record.progress.live_at)


def what_was_counted_before_an_interruption_is_enough(patch: Patch) -> None:
    really = consume.went_off

    def broken(record: Record, now: float) -> Record:
        off, was = really(record, now), record.progress
        return replace(off, progress=replace(off.progress, requests=was.requests, covered=was.covered))

    patch.setattr(under_way, "went_off", broken)


def what_was_given_up_goes_on(patch: Patch) -> None:
    def broken(seen: Observation, record: Record, now: float) -> Decision:
        again = replace(record.progress, stage=Stage.PROGRESSING, verdict=None, engine=start(record.attempt.design))
        # The note on the route would take it back once more.
        forgotten = replace(seen, gateway=replace(seen.gateway, rollback_of=""))
        return under_way.under_way(forgotten, Record(record.attempt, again), now)

    patch.setattr(machine, "going_back", broken)


def a_rollback_goes_further_up(patch: Patch) -> None:
    """The stage is right and the weights are not."""
    really = attempt.weights_of

    def broken(record: Record) -> dict[str, int]:
        if record.progress.stage is Stage.ROLLING_BACK:
            return split.weights_at(record.attempt.arms, 100)
        return really(record)

    patch.setattr("modelroute.rollout.going_back.weights_of", broken)


def what_is_refused_is_forgotten_with_its_record(patch: Patch) -> None:
    patch.setattr("modelroute.controller.observe.noted_refusal", lambda _route: None)


def what_is_refused_is_tried_again(patch: Patch) -> None:
    patch.setattr(resting, "_rolled_back", lambda _seen, _order: None)


def a_byte_too_many(patch: Patch) -> None:
    really = adopted.patch_of

    def broken(*args: Any, **options: Any) -> list[Any]:
        operations = really(*args, **options)
        touched = {"op": "add", "path": "/spec/rules/1/timeouts", "value": {"request": "31s"}}
        return [*operations, touched] if operations else []

    patch.setattr(adopted_routes, "patch_of", broken)


def no_token_is_told(patch: Patch) -> None:
    patch.setattr(machine, "token_due", lambda _seen, _decision: "")
    patch.setattr(gates, "_action", lambda _view, verb: verb)


def a_way_back_never_ends(patch: Patch) -> None:
    patch.setattr("modelroute.rollout.going_back._carries_stable", lambda _seen, _record: False)


def a_secret_is_told(patch: Patch) -> None:
    patch.setattr(tick, "decide", lambda seen, now: replace(machine.decide(seen, now), message=f"filters: {SECRET}"))


def the_whole_rule_is_told(patch: Patch) -> None:
    """Why a rule could not be written, with the rule: its filters are in it."""

    def broken(live: Any, *_args: Any, **_options: Any) -> list[Any]:
        raise Unavailable(f"cannot be patched: {live}")

    patch.setattr(adopted_routes, "patch_of", broken)


@dataclass(frozen=True, slots=True)
class Break:
    how: Callable[[Patch], None]
    play: Play
    noticed: str
    machine: type[Lifecycle] = Lifecycle


GOES_ON = "given up goes on|a rollback was undone"
"""The weights tell of it as the record does, whichever is seen first."""

BREAKS = {
    "(a) the sum is another": Break(weights_do_not_add_up, to_the_end, "assert"),
    "(a) a weight is negative": Break(a_weight_below_nothing, to_the_end, "large-v1"),
    "(b) no pass is asked for": Break(steps_are_left_without_a_pass, to_the_end, "never live|s of evidence"),
    "(b) the split does not settle": Break(the_split_does_not_settle, to_and_fro, "s of evidence"),
    "(b) nothing is waited for": Break(
        without(evidence_gates.has_settled, evidence_gates.has_lasted, evidence_gates.has_seen_enough),
        to_the_end,
        "s of evidence",
    ),
    "(b) what was counted before an interruption is enough": Break(
        what_was_counted_before_an_interruption_is_enough, approved_once_restored, "s of evidence"
    ),
    "(b) the gateway is not asked": Break(the_gateway_is_not_asked, with_a_silent_gateway, "never live"),
    "(b) a weight rises before its step": Break(a_weight_rises_before_its_step, to_the_end, "more than its step"),
    "(c) an attempt goes on after an abort": Break(what_was_given_up_goes_on, aborted, GOES_ON),
    "(c) an attempt goes on after harm": Break(what_was_given_up_goes_on, harmed, GOES_ON),
    "(c) a rollback raises the weight": Break(a_rollback_goes_further_up, aborted, "risen after the verdict"),
    "(c) what is refused is tried again": Break(what_is_refused_is_tried_again, aborted, "refused revision"),
    "(c) what is refused is tried again without its record": Break(
        what_is_refused_is_forgotten_with_its_record, aborted_and_its_record_deleted, "refused revision"
    ),
    "(d) another byte is written": Break(a_byte_too_many, to_the_end, "no weight", AdoptedLifecycle),
    "(e) a Prometheus that is down is a pass": Break(
        without(evidence_gates.evidence_is_current), approved_blindly, "unknown was a pass"
    ),
    "(e) windows without counts are a pass": Break(
        without(evidence_gates.evidence_is_current), approved_without_counts, "were a pass"
    ),
    "(f) no write is fenced": Break(nothing_is_fenced, read_before_again_and_again, "had read the past"),
    "(f) no write to an adopted rule is fenced": Break(
        nothing_is_fenced, read_before_again_and_again, "had read the past", AdoptedLifecycle
    ),
    "(g) a secret is in a status": Break(a_secret_is_told, to_the_end, "a secret was told"),
    "(g) a filter of an adopted rule is told": Break(
        the_whole_rule_is_told, to_the_end, "a secret was told", AdoptedLifecycle
    ),
    "(h) a gate names no way out": Break(no_token_is_told, at_a_gate, "no way out of AwaitingApproval"),
    "(h) a way back never ends": Break(a_way_back_never_ends, silent_while_going_back, "no way out of RollingBack"),
}


def played(broken: Break) -> None:
    model = broken.machine()
    model.patience = 100
    try:
        broken.play(model)
    finally:
        if not model.loop.is_closed():
            # Not to its end: how it goes on from there is another play's.
            model.world.objects.clear()
            model.teardown()


@pytest.mark.parametrize("name", BREAKS)
def test_a_machine_that_breaks_an_invariant_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = BREAKS[name]
    played(broken)
    broken.how(monkeypatch)

    with pytest.raises(AssertionError, match=broken.noticed):
        played(broken)
