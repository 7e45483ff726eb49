"""The page about an attempt, out of ModelRollouts that the operator itself wrote."""

from __future__ import annotations

import asyncio
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.fake_cluster import Person
from tests.fakes import NAME, STEP, World, in_phase, run_until
from tests.unit.test_tick import progressing, stable

from modelroute.api.parse import parse
from modelroute.api.resources import ModelRollout
from modelroute.cli.reporting.drawing import time_marks, value_marks
from modelroute.cli.reporting.story import Story, story_of

STEPS = {"steps": [{**STEP, "progress": 25}, {**STEP, "progress": 50}, {**STEP, "progress": 100}]}
BOUNDS = [
    {"name": "errors", "metric": "ErrorRate", "maxIncrease": "0.5pp"},
    {"name": "slow", "metric": "LatencyAbove", "threshold": "2s", "max": "5%", "maxRatio": "1.5"},
]


async def promoted() -> Person:
    world, ticker = await stable()
    world.bad_share = {"large-v1": 0.01, "small-v1": 0.01}
    world.apply(rollout=STEPS, objectives=BOUNDS)
    await run_until(world, ticker, in_phase("Stable", attempt=1))
    return Person.at(world, ticker)


async def rolled_back() -> Person:
    world, ticker = await stable()
    world.apply(rollout=STEPS, objectives=BOUNDS)
    await run_until(world, ticker, lambda status: status.get("step") == "2/3")
    world.bad_share = {"small-v1": 0.3}
    await run_until(world, ticker, in_phase("RolledBack"))
    return Person.at(world, ticker)


async def under_way() -> Person:
    return Person.at(*await progressing())


SCENES = {"promoted": promoted, "rolled back": rolled_back, "under way": under_way}


def person(scene: str) -> Person:
    return asyncio.run(SCENES[scene]())


def page(someone: Person, *arguments: str) -> str:
    done = someone.runs("report", NAME, "-o", "-", *arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


def story(world: World) -> Story:
    return story_of(parse(ModelRollout, world.rollouts()[-1]), now=world.now)


@pytest.mark.parametrize(
    ("scene", "says"),
    [
        ("promoted", ["Promoted", "small 40 %, large 60 %, promoted by attempt 1", "allowed of small", "max"]),
        ("rolled back", ["Rolled back", "HarmDetected", "small is worse on", "harmful", "not reached", "decided"]),
        ("under way", ["Progressing", "Until now", "no harm shown"]),
    ],
)
def test_the_page_tells_how_the_attempt_went(scene: str, says: list[str]) -> None:
    text = re.sub(r"\s+", " ", page(person(scene)))

    for words in says:
        assert words in text


class Loading(HTMLParser):
    """Collects everything that a browser would fetch, and checks that what is opened is closed."""

    VOID = frozenset({"meta", "br", "link", "img", "input", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [f"{tag} {name}" for name, _ in attrs if name in {"src", "href", "data", "srcset"}]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("scene", SCENES)
def test_the_page_is_whole_and_loads_nothing(scene: str) -> None:
    text = page(person(scene))
    read = Loading()
    read.feed(text)

    assert read.fetched == []
    assert read.open == []
    assert "url(" not in text
    assert "<script" not in text


@pytest.mark.parametrize("scene", SCENES)
def test_every_drawing_is_an_image_with_a_title_and_finite_numbers(scene: str) -> None:
    drawings = re.findall(r"<svg.*?</svg>", page(person(scene)), flags=re.DOTALL)

    assert len(drawings) >= 3
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        assert root.attrib["role"] == "img"
        assert root.findtext("{http://www.w3.org/2000/svg}title")
        assert "nan" not in drawing
        assert "inf" not in drawing


def test_names_cannot_bring_markup_into_the_page() -> None:
    someone = person("promoted")
    rollout = someone.world.rollouts()[-1]
    rollout["status"]["message"] = "<img src=x>"
    rollout["status"]["objectives"][0]["candidate"] = "<b>small</b>"
    rollout["status"]["windows"][0]["note"] = "<i>NoData</i>"

    text = page(someone)

    assert "<img" not in text
    assert "<b>" not in text
    assert "<i>NoData" not in text


def test_the_split_is_stable_then_each_step_then_what_it_came_to() -> None:
    went, came_back = story(person("promoted").world), story(person("rolled back").world)

    assert [each.label for each in went.stretches] == ["before", "step 1", "step 2", "step 3"]
    assert [round(each.shares["small"], 2) for each in went.stretches] == [0, 0.1, 0.2, 0.4]
    assert [each.label for each in came_back.stretches] == ["before", "step 1", "step 2", "back"]
    assert came_back.stretches[-1].shares["small"] == 0
    for one, other in zip(went.stretches, went.stretches[1:], strict=False):
        assert one.end == other.start


def test_the_last_point_of_a_course_is_all_that_was_counted() -> None:
    world = person("promoted").world
    sums: dict[str, float] = {}
    for step in world.rollouts()[-1]["status"]["sums"]:
        for tally in step["tallies"]:
            if tally["objective"] == "errors":
                sums[tally["arm"]] = sums.get(tally["arm"], 0.0) + tally["total"]

    (course,) = (each for each in story(world).courses if each.objective == "errors")

    assert {arm: points[-1].total for arm, points in course.points.items()} == sums
    for points in course.points.values():
        assert all(each.interval.low <= each.rate <= each.interval.high for each in points)


def test_windows_that_are_not_kept_are_in_the_counts_and_said_to_be_missing() -> None:
    someone = person("promoted")
    status = someone.world.rollouts()[-1]["status"]
    whole = story(someone.world)
    status["windows"] = status["windows"][-3:]

    cut = story(someone.world)

    assert cut.partial == whole.partial + len(whole.courses[0].points["small"]) - 3
    assert cut.courses[0].points["small"] == whole.courses[0].points["small"][-3:]
    assert f"the {cut.partial} before them are in the counts" in page(someone)


def test_an_older_record_without_the_times_of_its_steps_is_drawn_by_its_windows() -> None:
    world = person("promoted").world
    for step in world.rollouts()[-1]["status"]["sums"]:
        del step["liveAt"], step["leftAt"]

    assert [each.label for each in story(world).stretches] == ["before", "step 1", "step 2", "step 3"]


def test_a_file_is_written_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    done = person("promoted").runs("report", NAME)

    assert done.stdout == "support-1.html: attempt 1 of support, Promoted\n"
    assert Path("support-1.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("scene", "arguments", "says"),
    [
        ("promoted", ("--attempt", "7"), "attempt 7 of support is not kept (spec.historyLimit); there are 1"),
        ("promoted", ("-o", "/nowhere/at/all.html"), "/nowhere/at/all.html cannot be written"),
    ],
)
def test_what_cannot_be_reported_is_said(scene: str, arguments: tuple[str, ...], says: str) -> None:
    done = person(scene).runs("report", NAME, *arguments)

    assert done.exit_code == 1
    assert says in done.output


def test_a_route_that_was_never_rolled_out_has_no_report() -> None:
    assert "nothing to report" in Person.at(*asyncio.run(stable())).runs("report", NAME).output


@pytest.mark.parametrize(("span", "marks"), [(1, 2), (47, 5), (3_600, 7), (86_400, 9), (864_000, 6)])
def test_marks_of_time_are_round_and_not_too_many(span: float, marks: int) -> None:
    found = time_marks(span)

    assert len(found) == marks
    assert found[-1] <= span


@pytest.mark.parametrize(("top", "edge"), [(0.001, 0.001), (0.0123, 0.015), (0.07, 0.08), (0.5, 0.5), (1.0, 1.0)])
def test_marks_of_a_rate_are_round_and_reach_the_top(top: float, edge: float) -> None:
    found, marks = value_marks(top)

    assert found == pytest.approx(edge)
    assert marks[0] == 0
    assert marks[-1] == pytest.approx(edge)
