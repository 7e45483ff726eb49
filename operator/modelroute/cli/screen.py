"""The screen of one ModelRoute, for `status` and `watch`: from a view to something that rich can print."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from modelroute.api.fields import parse_instant
from modelroute.api.status import ConditionStatus, ConditionType
from modelroute.cli.bars import share_bar
from modelroute.cli.screen_evidence import amounts_block, brief_evidence, evidence_block
from modelroute.cli.silence import silence
from modelroute.cli.view import View
from modelroute.cli.words import STYLES, ago, phase_words, verdict_words
from modelroute.rollout.words import duration

COLOURS = ("cyan", "magenta", "blue", "green", "yellow", "red", "white", "bright_black")
_IN_ORDER = (ConditionType.ACCEPTED, ConditionType.PROGRAMMED, ConditionType.METRICS_AVAILABLE)
_VERBS = {
    "AwaitingApproval": ("approve", "abort"),
    "Paused": ("resume", "abort"),
    "RolledBack": ("retry",),
    "RollingBack": (),
}


def screen(view: View, *, width: int, program: str = "modelroute", events: int = 6) -> Group:
    """All that there is to say about one ModelRoute, in `width` columns, with the last `events`.

    `program` is how the user calls us.
    """
    return Group(*_blocks(view, width, events), *_section("Next", _next(view, program)))


def brief(view: View, *, width: int, program: str, events: int) -> tuple[Group, Group]:
    """The same where rows are few, and what has to stay on the screen: a line for what takes a paragraph, no gaps."""
    blocks = _blocks(view, width, events, short=True)
    told = Group(*(each for each in blocks if not isinstance(each, Text) or each.plain))
    verbs = _verbs(view)
    if not verbs:
        return told, Group()
    name = f"{view.route.metadata.name} -n {view.route.metadata.namespace}"
    return told, Group(Text.assemble(("Next", "bold"), f"  {program} {'|'.join(verbs)} {name}"))


def _blocks(view: View, width: int, events: int, *, short: bool = False) -> Iterator[RenderableType]:
    yield _title(view)
    if (silent := silence(view.rollout, view.now)) is not None:
        yield Text(silent, style="bold red")
    for fact in _facts(view):
        if short:
            fact.no_wrap, fact.overflow = True, "ellipsis"
        yield fact
    if view.route.status.message:
        yield Text()
        yield Text(view.route.status.message, style="default")
    yield from _section("Traffic", _traffic(view, width))
    yield from _section("Steps", _steps(view))
    yield from _section("Evidence", brief_evidence(view) if short else evidence_block(view, width))
    yield from _section("Per request", amounts_block(view))
    yield from _section("Lacking", _lacking(view))
    yield from _section("Not as it should be", _troubles(view))
    yield from _section("Events", _events(view, events, short=short))


def _section(title: str, lines: Iterator[RenderableType]) -> Iterator[RenderableType]:
    found = list(lines)
    if found:
        yield Text()
        yield Text(title, style="bold")
        # A table is indented by itself: padding it would cut its cells.
        yield from (line if isinstance(line, Table) else Padding(line, (0, 0, 0, 2), expand=False) for line in found)


def indented() -> Table:
    """A table whose first column is the indentation."""
    return Table.grid(padding=(0, 2, 0, 0))


def _title(view: View) -> Text:
    status, metadata = view.route.status, view.route.metadata
    told = Text.assemble((metadata.name, "bold"), (f"  in {metadata.namespace}", "dim"), "   ")
    told.append(phase_words(status.phase), style=f"bold {STYLES.get(status.phase or '', '')}".strip())
    if status.step:
        told.append(f"  step {status.step}, {status.progress} % of the way")
    if view.under_way or status.phase == "RolledBack":
        told.append(f"  {verdict_words(status.verdict)}", style=STYLES.get(status.verdict or "", ""))
    return told


def _facts(view: View) -> Iterator[Text]:
    status, rollout = view.route.status, view.rollout
    if view.route.metadata.generation != (status.observed_generation or 0):
        yield Text("The operator has not seen the last change of the spec yet.", style="yellow")
    if rollout is None:
        return
    told = rollout.status
    parts = [f"attempt {rollout.spec.attempt} ({rollout.metadata.name})", f"revision {rollout.spec.revision}"]
    if told.started_at:
        parts.append(f"started {ago(view.now - parse_instant(told.started_at))} ago")
    if told.finished_at:
        ended = phase_words(told.phase).lower()
        parts.append(f"{ended} {ago(view.now - parse_instant(told.finished_at))} ago")
    if status.deadline:
        left = parse_instant(status.deadline) - view.now
        parts.append(f"deadline in {duration(left)}" if left > 0 else "past its deadline")
    elif view.under_way and told.clock_stopped_at:
        parts.append("the deadline's clock stands still")
    yield Text(", ".join(parts), style="dim")
    if told.move:
        yield Text(told.move, style="dim")


def _traffic(view: View, width: int) -> Iterator[RenderableType]:
    live = view.route.status.live_weights or []
    if not live:
        return
    goals = _goals(view)
    table = indented()
    room = max(10, min(50, width - 60))
    for index, share in enumerate(live):
        colour = COLOURS[index % len(COLOURS)]
        goal = goals.get(share.arm, share.weight)
        to = Text(f"→ {_percent(goal)}" if goal != share.weight else "", style="dim")
        bar = share_bar(share.weight / 10_000, goal / 10_000, room, colour)
        table.add_row(
            "", Text(share.arm, style=colour), bar, Text(_percent(share.weight)), to, Text(share.backend or "", "dim")
        )
    yield table


def _goals(view: View) -> dict[str, int]:
    """Where each arm's share is to go: to the wanted split, or back."""
    if view.rollout is None or not view.under_way:
        return {}
    back = view.rollout.status.phase == "RollingBack"
    target = view.rollout.spec.from_ if back else view.rollout.spec.to
    return {share.arm: share.weight for share in target}


def _percent(weight: int) -> str:
    return f"{weight / 100:.2f}".rstrip("0").rstrip(".") + " %"


def _steps(view: View) -> Iterator[RenderableType]:
    rollout = view.rollout
    if rollout is None or (not view.under_way and view.route.status.phase != "RolledBack"):
        return
    status = rollout.status
    at = status.step_index or 0
    promoted, back = status.phase == "Promoted", status.phase in {"RollingBack", "RolledBack", "Aborted", "Superseded"}
    line = Text()
    for index, step in enumerate(rollout.spec.steps):
        asks = [step.require.value] if step.require.value != "NotHarmful" else []
        asks += ["approval"] if step.approval else []
        words = f"{step.progress} %" + (f" ({', '.join(asks)})" if asks else "")
        if index < at or promoted:
            line.append(f"✔ {words}", style="green")
        elif index == at:
            line.append(f"{'✘' if back else '▶'} {words}", style="bold red" if back else "bold cyan")
        else:
            line.append(f"○ {words}", style="dim")
        line.append("   ")
    yield line
    if not back and not promoted:
        yield from _this_step(view)


def _this_step(view: View) -> Iterator[Text]:
    assert view.rollout is not None
    status, steps = view.rollout.status, view.rollout.spec.steps
    step = steps[min(status.step_index or 0, len(steps) - 1)]
    parts = []
    if status.step_live_at is not None:
        parts.append(
            f"live for {duration(view.now - parse_instant(status.step_live_at))}, at least {step.min_duration}"
        )
    else:
        parts.append("waiting for the gateway")
    parts += [
        f"{each.candidate} answered {each.requests:,} of {step.min_requests:,}" for each in status.step_requests or ()
    ]
    flags = {"approved": status.approved, "not waited for": status.waived or status.waived_all}
    parts += [word for word, holds in flags.items() if holds]
    yield Text(", ".join(parts), style="dim")


def _lacking(view: View) -> Iterator[Text]:
    """What the sentence above does not say already."""
    said = view.route.status.message or ""
    yield from (Text(f"• {each}") for each in view.route.status.lacking or () if each not in said)


def _troubles(view: View) -> Iterator[Text]:
    status = view.route.status
    found = {condition.type: condition for condition in status.conditions or ()}
    for kind in _IN_ORDER:
        condition = found.get(kind)
        if condition is not None and condition.status is not ConditionStatus.TRUE:
            style = "red" if condition.status is ConditionStatus.FALSE else "yellow"
            yield Text.assemble((f"{condition.type}: {condition.reason}: ", style), condition.message)
    for field in status.not_in_force or ():
        yield Text.assemble((f"{field.field}: ", "yellow"), field.message)
    if status.guard:
        yield Text.assemble(("guard: ", "dim"), status.guard)


def _events(view: View, most: int, *, short: bool) -> Iterator[RenderableType]:
    if view.events is None:
        yield Text("The API server did not give them in time, or you may not read them.", style="dim")
        return
    if not view.events or not most:
        return
    if short:
        for told in view.events[-most:]:
            line = Text.assemble((f"{ago(view.now - told.at):>4}", "dim"), no_wrap=True, overflow="ellipsis")
            yield line.append(f"  {told.reason}", "yellow" if told.warning else "").append(f"  {told.message}")
        return
    table = indented()
    table.add_column()
    table.add_column(justify="right", style="dim", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for told in view.events[-most:]:
        table.add_row(
            "", ago(view.now - told.at), Text(told.reason, "yellow" if told.warning else ""), Text(told.message)
        )
    yield table


def _verbs(view: View) -> tuple[str, ...]:
    status = view.route.status
    return _VERBS.get(status.phase or "", ("promote", "pause", "abort")) if status.next_action else ()


def _next(view: View, program: str) -> Iterator[Text]:
    name, verbs = view.route.metadata.name, _verbs(view)
    where = f" -n {view.route.metadata.namespace}"
    yield from (Text(f"{program} {verb} {name}{where}") for verb in verbs)
    if verbs:
        yield Text(f"token {view.route.status.next_action}", style="dim")
