"""What came of a run: first as plain data (the JSON), then in words (the Markdown)."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench.soak.judging import ALPHA, Rate, Verdict
from tests.bench.soak.plan import Fault, Truth
from tests.bench.soak.routes import Outcome
from tests.bench.soak.soak import Soak
from tests.bench.soak.vitals import Life, growth_mib_per_hour, quantile

from devstack.load_report import percentile

WARM_S = 60.0
GROWTH_ALLOWED_MIB_PER_HOUR = 30.0
GROWTH_FROM_S = 600.0
"""A shorter life is reported, not judged: its caches still fill while routes have their first rollouts."""
TRACE_EVERY_S = 30.0

Json = dict[str, Any]


def data_of(soak: Soak) -> Json:
    """Everything that was measured, and what is wrong with it (`violations`)."""
    outcomes = [outcome for route in soak.routes.values() for outcome in route.outcomes]
    rates = {
        "falseRollbacks": _rate(outcomes, {Truth.HEALTHY}, Verdict.FALSE_ROLLBACK, ALPHA),
        "missedHarm": _rate(outcomes, set(Truth) - {Truth.HEALTHY}, Verdict.MISSED_HARM, 0.0),
    }
    lives = [_life(each) for each in soak.watch.lives]
    totals = json.loads(soak.world.totals.read_text(encoding="utf-8")) if soak.world.totals.exists() else {}
    now = soak.ended_at
    unfinished = [
        {
            "route": "/".join(key),
            "forS": round(now - route.under_way.began_at),
            "truth": route.under_way.change.wanted.truth,
        }
        for key, route in sorted(soak.routes.items())
        if route.under_way is not None
    ]
    violations = [asdict(each) for each in soak.watch.violations]
    violations += list(_more(outcomes, rates, lives, unfinished, soak.options.drain_s))
    return {
        "schema": "modelroute.dev/soak/v1",
        "options": asdict(soak.options),
        "machine": {
            "cores": os.cpu_count(),
            "loadAverage": {
                "mean": round(sum(soak.load_averages) / max(1, len(soak.load_averages)), 1),
                "max": round(max(soak.load_averages, default=0.0), 1),
            },
        },
        "ranForS": round(now - soak.began_at),
        "requests": {**totals, "notByUs": len(soak.excused), "byUs": len(soak.failed)},
        "rollouts": {
            "ended": len(outcomes),
            "byTruth": _by_truth(outcomes),
            "rates": {name: {**asdict(rate), "atLeast": rate.at_least} for name, rate in rates.items()},
            "namedRightly": sum(each.named_rightly for each in _went_back(outcomes)),
            "wentBack": len(_went_back(outcomes)),
            "secondsToDecision": _times(outcomes),
            "unfinished": unfinished,
        },
        "faults": _faults(soak),
        "operator": {"lives": lives, "oldestEvidenceS": round(soak.watch.oldest_evidence_s, 1)},
        "weightsChecked": soak.watch.weights_checked,
        "violations": violations,
        "outcomes": [_flat(each) for each in outcomes],
    }


def _more(
    outcomes: Sequence[Outcome],
    rates: dict[str, Rate],
    lives: Sequence[Json],
    unfinished: Sequence[Json],
    drain_s: float,
) -> Iterator[Json]:
    """What only the whole shows."""

    def violation(kind: str, what: str) -> Json:
        return {"at_s": None, "kind": kind, "what": what}

    for name, rate in rates.items():
        if not rate.is_allowed:
            yield violation(name, f"{rate.wrong} of {rate.total}: surely more than {rate.allowed:.0%}")
    for each in outcomes:
        if each.verdict in {Verdict.UNEXPLAINED, Verdict.MISSED_HARM}:
            end = f"{each.ended.outcome or 'nothing began'}, {each.ended.reason}: {each.message}"
            what = f"{'/'.join(each.key)} change {each.number} ({each.truth.value}): {end}"
            yield violation(each.verdict.value, what[:400])
    for life in lives:
        growth = life["growthMiBPerHour"]
        if life["forS"] >= GROWTH_FROM_S and growth is not None and growth > GROWTH_ALLOWED_MIB_PER_HOUR:
            yield violation("memory", f"process {life['pid']} grew by {growth:.0f} MiB an hour over {life['forS']} s")
    for route in unfinished:
        if route["forS"] > max(240.0, drain_s):
            yield violation("never ended", f"{route['route']} ({route['truth']}) was under way for {route['forS']} s")


def _rate(outcomes: Iterable[Outcome], truths: set[Truth], wrong: Verdict, allowed: float) -> Rate:
    judged = [each for each in outcomes if each.truth in truths and each.ended.outcome in {"Promoted", "RolledBack"}]
    return Rate(sum(each.verdict is wrong for each in judged), len(judged), allowed)


def _by_truth(outcomes: Sequence[Outcome]) -> Json:
    return {
        truth.value: dict(Counter(each.ended.outcome or "NothingBegan" for each in outcomes if each.truth is truth))
        for truth in Truth
    }


def _went_back(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [each for each in outcomes if each.truth is not Truth.HEALTHY and each.ended.outcome == "RolledBack"]


def _times(outcomes: Sequence[Outcome]) -> Json:
    found: Json = {}
    for truth in Truth:
        wanted = "Promoted" if truth is Truth.HEALTHY else "RolledBack"
        times = [
            each.decided_after_s if each.decided_after_s is not None else each.ended_after_s
            for each in outcomes
            if each.truth is truth and each.ended.outcome == wanted
        ]
        if times:
            found[truth.value] = {f"p{p}": round(percentile(times, p), 1) for p in (50, 90)} | {
                "max": round(max(times), 1)
            }
    return found


def _life(life: Life) -> Json:
    usage, metrics = life.usage, life.metrics
    settled = life.settled(WARM_S)
    for_s = usage[-1].at - usage[0].at
    growth = growth_mib_per_hour(life.settled(max(WARM_S, for_s / 2)))
    return {
        "pid": life.pid,
        "forS": round(for_s),
        "rssMiB": {
            "first": round(usage[0].rss_mib, 1),
            "settled": round(settled[0].rss_mib, 1) if settled else None,
            "last": round(usage[-1].rss_mib, 1),
            "max": round(max(each.rss_mib for each in usage), 1),
        },
        "growthMiBPerHour": None if growth is None else round(growth, 1),
        "rssTrace": _trace(life),
        "files": {"first": usage[0].files, "last": usage[-1].files},
        "cpuShare": round((usage[-1].cpu_s - usage[0].cpu_s) / for_s, 3) if for_s else None,
        "ticks": dict(metrics.ticks) if metrics else {},
        "apiCalls": dict(metrics.api_calls) if metrics else {},
        "tickS": {f"p{p}": quantile(metrics.tick_buckets, p / 100) for p in (50, 99)} if metrics else {},
        "lagS": {f"p{p}": quantile(metrics.lag_buckets, p / 100) for p in (50, 99)} if metrics else {},
    }


def _trace(life: Life) -> list[tuple[int, float]]:
    """(seconds since its start, MiB)."""
    trace: list[tuple[int, float]] = []
    for each in life.usage:
        since = each.at - life.usage[0].at
        if not trace or since - trace[-1][0] >= TRACE_EVERY_S:
            trace.append((round(since), round(each.rss_mib, 1)))
    return trace


def _faults(soak: Soak) -> Json:
    found: Json = {}
    for fault in Fault:
        broken = [each for each in soak.broken if each.planned.fault is fault]
        back = [each.back_after_s for each in broken if each.back_after_s is not None]
        mended = [each.after_s for each in soak.watch.mended if each.fault is fault and each.after_s is not None]
        times = mended if fault in {Fault.ROUTE_EDITED, Fault.ROUTE_DELETED} else back
        found[fault.value] = {"times": len(broken), "backWithinS": round(max(times), 1) if times else None}
    return found


def _flat(outcome: Outcome) -> Json:
    return {**asdict(outcome), "key": "/".join(outcome.key)}


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join('–' if each is None else str(each) for each in row)} |"
    yield ""


def markdown(data: Json) -> str:
    """The report for people."""
    options, requests, rollouts = data["options"], data["requests"], data["rollouts"]
    average = data["machine"]["loadAverage"]
    lines = [
        f"{options['routes']} routes in {options['namespaces']} namespaces, {options['at_once']} rollouts at once,"
        f" {options['rate']:g} requests a second for {data['ranForS']} s, seed {options['seed']};"
        f" {data['machine']['cores']} cores, load average {average['mean']} (at most {average['max']}).",
        "",
        f"**{len(data['violations'])} violations.**"
        + "".join(f"\n- {_when(each)}{each['kind']}: {each['what']}" for each in data["violations"]),
        "",
        *_rollouts(rollouts),
        *_requests(requests),
        *_broken(data),
        *_operator(data["operator"]),
    ]
    return "\n".join(lines)


def _when(violation: Json) -> str:
    return "" if violation["at_s"] is None else f"{violation['at_s']:.0f} s, "


def _rollouts(rollouts: Json) -> Iterator[str]:
    ends = ("Promoted", "RolledBack", "Superseded", "Aborted", "NothingBegan")
    times = rollouts["secondsToDecision"]
    yield f"{rollouts['ended']} rollouts ended, {len(rollouts['unfinished'])} were still under way at the end."
    yield ""
    rows = [
        [truth, *(found.get(end, 0) for end in ends), *(times.get(truth, {}).get(p) for p in ("p50", "p90", "max"))]
        for truth, found in rollouts["byTruth"].items()
    ]
    yield from _table(("the candidate was", *ends, "s to the decision: p50", "p90", "max"), rows)
    for name, words in (("falseRollbacks", "Harmless candidates taken back"), ("missedHarm", "Harmful ones promoted")):
        rate = rollouts["rates"][name]
        limits = f"surely at least {rate['atLeast']:.1%}, allowed {rate['allowed']:.0%}"
        yield f"{words}: {rate['wrong']} of {rate['total']} ({limits})."
    went_back, rightly = rollouts["wentBack"], rollouts["namedRightly"]
    yield f"Of {went_back} rollbacks of harm {rightly} named the objective that the harm shows in."
    yield ""


def _requests(requests: Json) -> Iterator[str]:
    yield (
        f"{requests.get('sent', 0):,} requests were sent; {requests['byUs']} failed without a model server having"
        f" answered and without a fault to blame, {requests['notByUs']} with one (a route that somebody deleted, or a"
        f" client that gave up). The load was at most {requests.get('latest_s', 0):.1f} s behind its plan."
    )
    yield ""


def _broken(data: Json) -> Iterator[str]:
    rows = [(fault, found["times"], found["backWithinS"]) for fault, found in data["faults"].items()]
    yield from _table(("fault", "times", "mended or told of again within, s"), rows)
    yield f"Weights were looked at {data['weightsChecked']:,} times."
    yield ""


def _operator(operator: Json) -> Iterator[str]:
    rows = [
        (
            number,
            life["forS"],
            f"{life['rssMiB']['first']} / {life['rssMiB']['settled'] or '–'} / {life['rssMiB']['last']}",
            life["growthMiBPerHour"],
            f"{life['files']['first']} / {life['files']['last']}",
            f"{life['cpuShare']:.0%}" if life["cpuShare"] is not None else None,
            ", ".join(f"{count:.0f} {outcome}" for outcome, count in sorted(life["ticks"].items())),
            f"{life['tickS'].get('p50')} / {life['tickS'].get('p99')}",
            f"{life['lagS'].get('p50')} / {life['lagS'].get('p99')}",
        )
        for number, life in enumerate(operator["lives"], start=1)
    ]
    oldest = operator["oldestEvidenceS"]
    yield f"The operator, from each start to each end; evidence was at most {oldest} s old in quiet times."
    yield ""
    head = (
        "life",
        "s",
        "RSS MiB: first / after 60 s / last",
        "MiB/h in its second half",
        "files",
        "of a core",
        "looks",
    )
    yield from _table((*head, "look s: p50 / p99 ≤", "late s: p50 / p99 ≤"), rows)


def write(data: Json, folder: Path) -> tuple[Path, Path]:
    """report.json and report.md in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    as_json, as_text = folder / "report.json", folder / "report.md"
    as_json.write_text(json.dumps(data, indent=1, default=str), encoding="utf-8")
    as_text.write_text(f"# Soak\n\n{markdown(data)}", encoding="utf-8")
    return as_json, as_text
