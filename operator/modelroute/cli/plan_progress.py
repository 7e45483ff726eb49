"""The progress bar of `modelroute plan`, on standard error, and only where somebody sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


@contextmanager
def shown(scenarios: Sequence[str]) -> Iterator[Callable[[str, float], None]]:
    """What to call with a scenario and the part of it that is done, in [0, 1]."""
    console = Console(stderr=True)
    columns = TextColumn("simulating: {task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(scenarios[0], total=float(len(scenarios)))

        def tell(scenario: str, done: float) -> None:
            progress.update(task, description=scenario, completed=scenarios.index(scenario) + done)

        yield tell
