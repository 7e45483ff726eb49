"""What the demo comes to, in figures: from the load's log and the ModelRollouts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from demo.story import BROKEN
from devstack.load_report import between, failed_at_gateway, last_sent_to
from devstack.request_record import RequestRecord


def summary(records: list[RequestRecord], rollouts: list[dict[str, Any]]) -> list[str]:
    """The lines of the summary; `rollouts` are the two attempts, oldest first."""
    promoted, back = rollouts[0]["status"], rollouts[1]["status"]
    decided, routed = _at(back["decidedAt"]), _at(back["rolledBackAt"])
    candidate = [record for record in records if record.arm == BROKEN]
    bad = [record for record in candidate if record.bad]
    fault = min(record.sent_at for record in bad)
    until_decided = between(candidate, since=fault, until=decided)
    last = last_sent_to(records, BROKEN)
    assert last is not None, "the candidate had traffic"
    lost = failed_at_gateway(records)
    took = _at(promoted["finishedAt"]) - _at(promoted["startedAt"])
    return [
        f"promotion                          {promoted['phase']} after {took:.1f} s",
        f"rollback                           {back['phase']}: {back['decision']['message']}",
        f"fault to decision                  {decided - fault:.1f} s, {len(until_decided)} requests by the candidate",
        f"decision to route (as accepted)    {routed - decided:.1f} s",
        f"route to last candidate request    {max(0.0, last.sent_at - routed):.1f} s",
        f"bad answers that users saw         {len(bad)} of {len(candidate)} by the candidate,"
        f" {sum(r.bad for r in records if r.arm != BROKEN)} of {len(records) - len(candidate)} otherwise",
        f"failed because of weight changes   {len(lost)} of {len(records)} requests",
    ]


def lost_requests(records: list[RequestRecord]) -> int:
    """Requests that no model server answered and no client gave up: weight changes would be to blame."""
    return len(failed_at_gateway(records))


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
