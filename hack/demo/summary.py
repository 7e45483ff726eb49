"""What the demo comes to, in figures: from the load's log, the model servers and the ModelRollouts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from devstack.load_report import Blame, blame, failed_at_gateway, last_sent_to
from devstack.request_record import RequestRecord


@dataclass(frozen=True, slots=True)
class Setback:
    """One rollback: its ModelRollout, the Service that was rolled out, and what its server saw (unix seconds)."""

    title: str
    rollout: dict[str, Any]
    service: str
    requests_seen: int
    last_request_at: float


def promoted(rollout: dict[str, Any]) -> str:
    status = rollout["status"]
    return f"{status['phase']} after {_at(status['finishedAt']) - _at(status['startedAt']):.1f} s"


def setback_lines(setback: Setback, records: list[RequestRecord]) -> Iterator[str]:
    """The figures of one rollback. The fault is there from the candidate's first request on.

    A request that hangs has no answer and so no name of who got it: those given up while the attempt ran count as the
    candidate's, and its server says how many reached it and when the last one did.
    """
    status = setback.rollout["status"]
    started, decided = _at(status["startedAt"]), _at(status["decidedAt"])
    routed = _at(status["rolledBackAt"])
    ended = _at(status["finishedAt"])
    answered = [record for record in records if record.arm == setback.service]
    lost = [r for r in records if started <= r.sent_at < ended and blame(r) is Blame.UNKNOWN]
    mine = sorted([*answered, *lost], key=lambda record: record.sent_at)
    before = [record for record in mine if record.sent_at < decided]
    bad = sum(record.bad for record in mine)
    last = last_sent_to(records, setback.service)
    last_at = max(setback.last_request_at, last.sent_at if last else 0.0)
    yield setback.title
    yield f"  outcome                           {status['phase']}: {status['decision']['message']}"
    yield f"  fault to decision                 {decided - mine[0].sent_at:.1f} s, {len(before)} requests by then"
    yield f"  decision to route (as accepted)   {routed - decided:.1f} s"
    yield f"  route to last candidate request   {max(0.0, last_at - routed):.1f} s"
    yield f"  bad answers that users saw        {bad} of {len(mine)} ({setback.requests_seen} reached the candidate)"


def lost_requests(records: list[RequestRecord]) -> int:
    """Requests that no model server answered and no client gave up: weight changes would be to blame."""
    return len(failed_at_gateway(records))


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
