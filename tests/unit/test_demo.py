"""The demo's screen and the pictures in docs/images/, drawn of a rollout in memory."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console
from tests.fake_cluster import Person
from tests.unit.test_tick import progressing

from demo import pictures
from demo.answers import OVER_S, Answers, Tail, drawn
from demo.stage import Stage
from devstack.request_record import RequestRecord
from modelroute.cli.view import View, read_view
from modelroute.cli.watch_live import Latest

NOW = 1_000.0


def record(number: int, *, at: float, arm: str | None = "large", ok: bool = True) -> str:
    return RequestRecord(number, at, at, at, 200 if ok else 500, arm, ok, 10, streamed=False).to_json() + "\n"


def view() -> View:
    return read_view(Person.at(*asyncio.run(progressing())).session(), "support")


def test_answers_are_counted_by_who_gave_them_and_forgotten_after_some_seconds(tmp_path: Path) -> None:
    log = tmp_path / "load.jsonl"
    log.write_text(record(1, at=NOW - OVER_S - 1) + record(2, at=NOW - 1) + record(3, at=NOW - 1, arm=None, ok=False))

    assert Tail(log).answers(NOW) == (Answers("large", 1, 0), Answers("nobody", 1, 1))


def test_a_line_that_is_still_being_written_is_read_when_it_is_whole_and_only_once(tmp_path: Path) -> None:
    log, line = tmp_path / "load.jsonl", record(1, at=NOW)
    tail = Tail(log)
    before = tail.answers(NOW)
    log.write_text(line[:20])
    halfway = tail.answers(NOW)
    log.write_text(line)

    assert before == halfway == ()
    assert tail.answers(NOW) == tail.answers(NOW) == (Answers("large", 1, 0),)


def test_bad_answers_are_seen_however_few_they_are() -> None:
    out = io.StringIO()
    Console(width=80, file=out, color_system=None).print(
        drawn((Answers("large", 999, 0), Answers("small", 1, 1)), width=20)
    )
    large, small = (" ".join(line.split()) for line in out.getvalue().splitlines())

    assert large == f"large {'█' * 20} 999"
    assert small == "small █ 1, 1 of them bad"


@pytest.mark.parametrize("height", [16, 45])
def test_what_the_act_is_about_and_who_answers_stand_above_the_plugins_screen(height: int) -> None:
    console = Console(width=110, height=height, file=io.StringIO(), force_terminal=True, color_system=None)
    stage = Stage(console)
    stage.act("Act 2. It fails.")

    lines = console.render_lines(stage._frame(Latest(view()), drawn((Answers("large", 9, 0),), width=20)), pad=False)
    told = ["".join(segment.text for segment in line).strip() for line in lines]

    assert told[0].startswith("Act 2. It fails.")
    assert told[2].startswith("large")
    assert any(line.startswith("support  in chat") for line in told[:6])


def test_an_act_leaves_its_events_behind_once_and_in_lines_that_fit() -> None:
    out, seen = io.StringIO(), view()
    stage = Stage(Console(width=60, file=out, force_terminal=True, color_system=None))
    stage._leave_behind(seen)
    stage._leave_behind(seen)

    assert out.getvalue().count("RolloutStarted") == 1
    assert all(len(line) <= 60 for line in out.getvalue().splitlines())


def test_a_picture_is_the_screen_and_loads_nothing() -> None:
    drawing = pictures.svg(view(), name="test")

    assert "url(http" not in drawing
    assert "@font-face" not in drawing
    assert "Progressing" in "".join(ElementTree.fromstring(drawing.encode()).itertext())
