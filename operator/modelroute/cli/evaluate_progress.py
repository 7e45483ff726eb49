"""What a person sees while suites are run: a bar on a terminal, plain lines elsewhere; and a table at the end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TextIO

from rich import progress as rich_progress
from rich.console import Console
from rich.table import Table

from modelroute.cli.terminal import console
from modelroute.compare.domain import Comparison
from modelroute.compare.evaluation.preflight import Checked
from modelroute.compare.evaluation.probing import Found
from modelroute.compare.judging.pass_over import Judged
from modelroute.compare.results import Sample, read_samples

LINES_PER_SUITE: Final = 4
"""Plain lines while one model answers one suite: at a quarter, a half, three quarters, and the end."""


COLUMNS: Final = ("answers", "errors", "refusals", "violations", "scores", "p50", "p95", "tokens in, out")
WIDE: Final = 160
WIDE_ENOUGH: Final = 130
"""Characters: on a narrower terminal the table would cut every word, and sentences are told."""


class Progress:
    """A Watcher for a person who looks at `out`."""

    def __init__(self, out: TextIO) -> None:
        self.written = 0
        self._console = Console(file=out, soft_wrap=True, highlight=False)
        self._bar: rich_progress.Progress | None = None
        if self._console.is_terminal:
            self._bar = rich_progress.Progress(
                rich_progress.TextColumn("{task.description}"),
                rich_progress.BarColumn(),
                rich_progress.MofNCompleteColumn(),
                rich_progress.TextColumn("{task.fields[errors]}"),
                rich_progress.TimeRemainingColumn(),
                console=self._console,
            )
        self._task: rich_progress.TaskID | None = None
        self._items = self._done = self._errors = 0

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the screen in order; more than once does no harm."""
        if self._bar is not None:
            self._bar.stop()

    def begins(self, model: str, suite: str, *, items: int, answered: int) -> None:
        self._items, self._done, self._errors = items, answered, 0
        if self._bar is not None:
            self._task = self._bar.add_task(f"{model} · {suite}", total=items, completed=answered, errors="")
        elif answered:
            self._line(model, suite, f"{answered} of {items} answered before")

    def sampled(self, model: str, suite: str, sample: Sample) -> None:
        self.written += sample.error is None
        self._done += 1
        self._errors += sample.error is not None
        errors = f"{self._errors} {'error' if self._errors == 1 else 'errors'}" if self._errors else ""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=1, errors=errors)
        elif self._done * LINES_PER_SUITE // self._items > (self._done - 1) * LINES_PER_SUITE // self._items:
            self._line(model, suite, f"{self._done} of {self._items}{', ' if errors else ''}{errors}")

    def judged(self, model: str, suite: str, told: Judged) -> None:
        if told.judged or told.errors:
            errors = f", {told.errors} without a score (the last: {told.last_error})" if told.errors else ""
            self._line(model, suite, f"{told.judged} judged{errors}")

    def probed(self, model: str, found: Found) -> None:
        self._console.print(f"{model} · {found}", markup=False)

    def refused(self, model: str, suite: str, reason: str) -> None:
        self._console.print(f"Refused: {reason}", style="bold", markup=False)

    def stopped(self, model: str, reason: str) -> None:
        self._console.print(f"Stopped: {reason}", style="bold", markup=False)

    def _line(self, model: str, suite: str, text: str) -> None:
        self._console.print(f"{model} · {suite}: {text}", markup=False)


def summary(comparison: Comparison, folder: Path, out: TextIO) -> None:
    """What was measured, a line a model and suite. `modelroute compare` has the intervals, and decides."""
    title = f"{comparison.name}: what was answered"
    headings = (*COLUMNS, f"cost ({comparison.currency})")
    rows = [
        (model.name, suite.name, _cells(read_samples(folder, model.name, suite.name)))
        for model in comparison.models
        for suite in comparison.suites
    ]
    screen = console(out, piped_width=WIDE)
    if screen.width < WIDE_ENOUGH:
        screen.print(title, markup=False, style="bold")
        for model, suite, cells in rows:
            told = (f"{name} {', '.join(cell.splitlines())}" for name, cell in zip(headings, cells, strict=True))
            screen.print(f"{model} · {suite}: {'; '.join(told)}", markup=False)
        return
    table = Table(title=title, title_justify="left")
    for name in ("model", "suite"):
        table.add_column(name)
    for name in headings:
        table.add_column(name, justify="right")
    for model, suite, cells in rows:
        table.add_row(model, suite, *cells)
    screen.print(table)


def checked_table(comparison: Comparison, found: Mapping[str, Checked], out: TextIO) -> None:
    """What the endpoints were found to do, a line a model, with a sentence below for each thing to know."""
    table = Table(title=f"{comparison.name}: what the endpoints do", title_justify="left")
    for name in ("model", "answers", "streams", "counts tokens", "logprobs"):
        table.add_column(name)
    notes = []
    for model, checked in found.items():
        table.add_row(
            model,
            "yes" if checked.answers else "no",
            "yes" if checked.streams else "no",
            "yes" if checked.counts_tokens and checked.replies else "no",
            checked.logprobs.verdict.value,
        )
        wrong = [checked.gone, *(reply.error or "" for reply in checked.replies)]
        notes += [f"{model}: {said}" for said in dict.fromkeys(wrong) if said][:1]
        if checked.answers and checked.logprobs.why:
            notes.append(f"{model}: {checked.logprobs}")
    screen = console(out, piped_width=140)
    screen.print(table)
    for note in notes:
        screen.print(note, markup=False, soft_wrap=True)


def _cells(samples: tuple[Sample, ...]) -> list[str]:
    answers = [sample for sample in samples if sample.error is None]
    judged = [sample.violation for sample in answers if sample.violation is not None]
    names = dict.fromkeys(name for sample in answers for name in sample.scores)
    scores = [f"{name} {_mean([s.scores[name] for s in answers if name in s.scores]):.3f}" for name in names]
    times = sorted(sample.latency_s for sample in answers if sample.latency_s is not None)
    tokens = [(s.input_tokens, s.output_tokens) for s in answers if None not in (s.input_tokens, s.output_tokens)]
    costs = [sample.cost for sample in samples if sample.cost is not None]
    return [
        str(len(answers)),
        str(len(samples) - len(answers)),
        str(sum(sample.refused for sample in answers)),
        f"{sum(judged)} of {len(judged)}" if judged else "-",
        "\n".join(scores) or "-",
        _seconds(times, 0.5),
        _seconds(times, 0.95),
        f"{_mean([i or 0 for i, _ in tokens]):.0f}, {_mean([o or 0 for _, o in tokens]):.0f}" if tokens else "-",
        f"{sum(costs):.4f}" if costs else "-",
    ]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _seconds(times: list[float], share: float) -> str:
    """The smallest time that at least `share` of the answers kept."""
    if not times:
        return "-"
    return f"{times[max(-int(-share * len(times) // 1), 1) - 1]:.2f} s"
