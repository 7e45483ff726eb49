"""The page: the template, and what it is given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from modelroute import __version__
from modelroute.api.fields import parse_instant
from modelroute.api.resources import ModelRollout
from modelroute.api.rollout_status import StepSums
from modelroute.cli.reporting.charts import evidence_chart, final_rates, hues, rate_chart, split_chart
from modelroute.cli.reporting.story import Story, story_of
from modelroute.cli.view import Told
from modelroute.cli.words import phase_words, verdict_words
from modelroute.rollout.split import in_words
from modelroute.rollout.words import count, duration

TONES = {"Promoted": "good", "RolledBack": "bad", "RollingBack": "bad", "Aborted": "warn", "Superseded": "warn"}


def page(rollout: ModelRollout, events: Sequence[Told], *, now: float) -> str:
    """One HTML document that loads nothing. `now` in unix seconds; `events` are those about the ModelRoute."""
    environment = Environment(
        loader=PackageLoader("modelroute.cli.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"clock": _clock, "day": _day, "verdict": verdict_words, "phase": phase_words}
    story = story_of(rollout, now=now)
    return environment.get_template("report.html").render(_given(rollout, story, events, now)) + "\n"


def _given(rollout: ModelRollout, story: Story, events: Sequence[Told], now: float) -> dict[str, Any]:
    status = rollout.status
    notes = Counter(each.note for each in status.windows or () if each.note)
    return {
        "rollout": rollout,
        "spec": rollout.spec,
        "status": status,
        "tone": TONES.get(status.phase or "", "live"),
        "took": duration(story.end - story.start),
        "story": story,
        "hues": hues(rollout),
        "split_chart": Markup(split_chart(story, rollout)),  # noqa: S704  # our own SVG; its texts are escaped
        "rates": [
            {
                "course": course,
                "chart": Markup(rate_chart(course, story, rollout)),  # noqa: S704  # likewise
                "words": final_rates(course),
            }
            for course in story.courses
        ],
        "evidence_chart": Markup(evidence_chart(rollout)),  # noqa: S704  # likewise
        "steps": [_step(rollout, story, index) for index in range(len(rollout.spec.steps))],
        "notes": notes.most_common(12),
        "events": [each for each in events if story.start - 1 <= each.at <= story.end + 60],
        "version": __version__,
        "now": now,
    }


def _step(rollout: ModelRollout, story: Story, index: int) -> dict[str, Any]:
    step = rollout.spec.steps[index]
    sums = next((each for each in rollout.status.sums or () if each.step == index), None)
    live = next((each for each in story.stretches if each.label == f"step {index + 1}"), None)
    asks = [f"at least {step.min_duration}", f"{step.min_requests:,} requests of each candidate"]
    asks += [step.require.value] if step.require.value != "NotHarmful" else []
    asks += ["approval"] if step.approval else []
    return {
        "number": index + 1,
        "progress": step.progress,
        "asks": ", ".join(asks),
        "split": in_words({arm: round(share * 10_000) for arm, share in live.shares.items()}) if live else "",
        "start": live.start if live else None,
        "took": duration(live.end - live.start) if live else "",
        "windows": (sums.windows or 0) if sums else 0,
        "counted": _counted(sums),
    }


def _counted(sums: StepSums | None) -> list[str]:
    """'errors: large 10 of 605, small 1 of 55', a line for each objective."""
    lines: dict[str, list[str]] = {}
    for tally in sums.tallies if sums is not None else ():
        lines.setdefault(tally.objective, []).append(f"{tally.arm} {count(tally.bad)} of {count(tally.total)}")
    return [f"{objective}: {', '.join(arms)}" for objective, arms in lines.items()]


def _clock(at: float | str | None) -> str:
    return "" if at is None else _day(at)[11:19]


def _day(at: float | str | None) -> str:
    from datetime import UTC, datetime

    if at is None:
        return ""
    moment = parse_instant(at) if isinstance(at, str) else at
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
