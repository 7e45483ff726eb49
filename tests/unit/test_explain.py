"""Why an attempt went back, and what it would have taken: from ModelRollouts that the operator wrote."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result
from tests.fakes import NAME, NAMESPACE, Kind, World, in_phase, run_until
from tests.unit.test_cluster_client import answering, server

from modelroute.analysis.design import Action, Comparison, Design, Objective, Outcomes, Window
from modelroute.analysis.engine import advance, assess, start
from modelroute.cli.explain_input import Told, chosen, find, told_by
from modelroute.cli.main import cli
from modelroute.cluster.client import Json
from modelroute.cluster.credentials import namespace_of
from modelroute.errors import Invalid
from modelroute.explaining.account import Account, account_of
from modelroute.explaining.counterfactual import Subject, more_answers, requests_until_breach
from modelroute.explaining.kept import Kept
from modelroute.rollout.observation import Problem
from modelroute.rollout.reasons import Reason

PAGE = Path(__file__).parents[2] / "docs" / "explain.md"
STEPS = [
    {"progress": 50, "minDuration": "10m", "minRequests": 100},
    {"progress": 100, "minDuration": "10m", "minRequests": 100},
]
ERRORS = {"name": "errors", "metric": "ErrorRate", "maxIncrease": "0.5pp"}
SLOW = {"name": "slow", "metric": "LatencyAbove", "threshold": "2s", "max": "5%", "onBreach": "Pause"}


async def rollout(
    bad: float, *, healthy_s: float = 0.0, until: str = "RolledBack", within_s: float = 2_000.0, **spec: Any
) -> Json:
    """A ModelRollout whose candidate fails that often, once it was healthy for so long."""
    world = World(bad_share={"large-v1": 0.01, "small-v1": 0.01 if healthy_s else bad})
    world.apply(**{"rollout": {"steps": STEPS}, "objectives": [ERRORS], **spec})
    ticker = world.ticker()
    if healthy_s:
        end = world.now + healthy_s
        await run_until(world, ticker, lambda _status: world.now > end, within_s=healthy_s + 60)
        world.bad_share["small-v1"] = bad
    if until:
        await run_until(world, ticker, in_phase(until), within_s=within_s)
    return world.rollouts()[-1]


def explained(body: Json) -> tuple[Told, Account]:
    told = told_by(body)
    return told, account_of(told.record, told.kept)


# What is computed again.


@pytest.mark.parametrize("healthy_s", [0.0, 400.0, 700.0])
async def test_the_decision_falls_again_in_the_window_in_which_it_fell(healthy_s: float) -> None:
    body = await rollout(0.05, healthy_s=healthy_s)

    told, account = explained(body)

    assert told.kept is not None
    assert told.kept.whole == (healthy_s == 0.0)
    assert account.agrees is True
    assert account.decided is account.looks[-1]
    assert account.decided is not None
    assert account.decided.assessment.rollback_log_evidence == account.final.rollback_log_evidence
    assert all(not look.assessment.rollback_breached for look in account.looks[:-1])


async def test_what_the_status_says_is_what_is_explained() -> None:
    body = await rollout(0.2)

    _, account = explained(body)

    (item,) = account.items
    tally = item.finding.tally
    assert f"{tally.candidate_bad:.0f} of {tally.candidate_total:.0f} bad" in body["status"]["message"]
    assert account.record.progress.verdict is not None
    assert item.log_weight + 0.01 > account.final.log_limit


async def test_so_many_bad_answers_fewer_and_it_would_not_have_gone_back() -> None:
    told, account = explained(await rollout(0.05, healthy_s=400.0))

    (item,) = account.items
    kept = told.kept
    assert kept is not None
    assert item.fewer is not None
    assert item.fewer_to_go_on is not None
    assert 1 <= item.fewer < item.fewer_to_go_on
    assert not breached(told, scaled(kept, -item.fewer))
    assert breached(told, scaled(kept, -(item.fewer - 1)))


async def test_so_many_bad_answers_more_and_it_would_have_gone_back() -> None:
    told, account = explained(await rollout(0.01, healthy_s=300.0, until=""))

    (item,) = account.items
    kept = told.kept
    assert kept is not None
    assert item.fewer is None
    assert item.more is not None
    assert breached(told, scaled(kept, item.more))
    assert not breached(told, scaled(kept, item.more - 1))


def scaled(kept: Kept, more: int) -> Kept:
    """The windows with `more` bad answers of small, evenly over the settled ones, by this test's own arithmetic."""
    key = ("errors", "small")
    settled = [window.outcomes[key] for window in kept.windows if window.settled]
    room = sum(each.compared[0] if more < 0 else each.total - each.compared[0] for each in settled)

    def changed(window: Window) -> Window:
        if not window.settled:
            return window
        was = window.outcomes[key]
        part = was.compared[0] if more < 0 else was.total - was.compared[0]
        bad = was.compared[0] + more * part / room
        return replace(window, outcomes={**window.outcomes, key: Outcomes(was.total, (bad,), bad)})

    return replace(kept, windows=tuple(changed(window) for window in kept.windows))


def breached(told: Told, kept: Kept) -> bool:
    design, state = told.record.attempt.design, kept.before
    found = []
    for window in kept.windows:
        state = advance(design, state, window)
        found.append(assess(design, state).rollback_breached)
    return any(found)


async def test_a_healthy_attempt_would_never_go_back_if_it_goes_on_like_this() -> None:
    _, account = explained(await rollout(0.01, healthy_s=290.0, until=""))

    assert account.items[0].requests is None


async def test_an_objective_that_pauses_is_explained_by_the_pause() -> None:
    body = await rollout(0.2, until="Paused", objectives=[{**ERRORS, "onBreach": "Pause"}])

    _, account = explained(body)

    (item,) = account.items
    assert account.decided is not None
    assert account.decided.assessment.pause_breached
    assert item.fewer is not None
    assert item.more is None


async def test_what_another_objective_decided_would_not_have_been_spared_by_this_one() -> None:
    body = await rollout(0.1, objectives=[ERRORS, {"name": "broken", "metric": "ErrorRate", "maxIncrease": "50pp"}])

    _, account = explained(body)

    fewer = {item.finding.objective: item.fewer for item in account.items}
    assert fewer["broken"] is None
    assert fewer["errors"] is not None


async def test_an_older_operators_windows_are_not_gone_through_and_the_rest_is_told() -> None:
    body = await rollout(0.2)
    for window in body["status"]["windows"]:
        del window["settled"]

    told, account = explained(body)

    assert told.kept is None
    assert "it is not kept whether it had settled" in told.whyless
    assert account.final.rollback_breached
    assert account.items[0].fewer is None
    assert account.agrees is None


async def test_a_record_that_was_changed_by_hand_does_not_agree() -> None:
    body = await rollout(0.2)
    first = body["status"]["windows"][-1]
    first["counts"] = first["counts"].replace("errors/large=", "errors/large=1")

    _, account = explained(body)

    assert account.agrees is False


async def test_a_rollback_for_another_reason_has_its_own_words() -> None:
    deadline = {"steps": [{"progress": 100, "minDuration": "1m", "minRequests": 10_000_000}]}
    body = await rollout(
        0.01, rollout={**deadline, "progressDeadline": "2m", "onDeadline": "RollBack"}, until="RolledBack"
    )

    done = shown(body)

    assert "ProgressDeadlineExceeded: progressDeadline 2m has passed" in done.stdout
    assert "more would have been a rollback" in done.stdout


# A candidate that does not answer, and the look ahead.

DESIGN = Design((Objective("errors", margin=0.005),), (Comparison("small", "large"),), checks_split=True)


def silent(k: int, answered: float = 0.0) -> Window:
    outcomes = {("errors", "small"): Outcomes(answered, (0.0,), 0.0), ("errors", "large"): Outcomes(90.0, (1.0,), 1.0)}
    completions = {"small": answered, "large": 90.0}
    return Window(15.0 * k, 15.0 * k + 15, outcomes, {"small": 0.1, "large": 0.9}, True, completions)


def test_so_many_answers_more_would_have_spared_a_candidate_that_does_not_answer() -> None:
    windows = tuple(silent(k) for k in range(12))
    kept = Kept(start(DESIGN), windows, (0,) * 12, True)

    more = more_answers(DESIGN, kept, "small")

    assert more is not None
    assert 0 < more < 12 * 10

    def goes_back(answers: int) -> bool:
        state = start(DESIGN)
        found = []
        for k in range(12):
            state = advance(DESIGN, state, replace(silent(k), completions={"small": answers / 12, "large": 90.0}))
            found.append(assess(DESIGN, state).rollback_breached)
        return any(found)

    assert goes_back(more - 1)
    assert not goes_back(more)


def test_a_candidate_that_answers_its_share_lacks_no_answers() -> None:
    kept = Kept(start(DESIGN), tuple(silent(k, 10.0) for k in range(12)), (0,) * 12, True)

    assert more_answers(DESIGN, kept, "small") is None


def test_the_look_ahead_counts_the_requests_until_the_breach() -> None:
    window = replace(
        silent(0, 100.0),
        outcomes={("errors", "small"): Outcomes(100.0, (4.0,), 4.0), ("errors", "large"): Outcomes(900.0, (9.0,), 9.0)},
        completions={},
    )
    state = advance(DESIGN, start(DESIGN), window)
    kept = Kept(start(DESIGN), (window,), (0,), True)

    found = requests_until_breach(DESIGN, state, kept, Subject("errors", "small", Action.ROLL_BACK))

    end = window.end
    for number in range(1, 100):
        end += 15
        state = advance(DESIGN, state, replace(window, start=end - 15, end=end))
        if assess(DESIGN, state).rollback_breached:
            assert found == 100 * number
            return
    raise AssertionError("it never went back")


# Where it is found.


async def test_a_route_stands_for_its_latest_attempt_and_a_rollout_for_itself() -> None:
    world = World(bad_share={"large-v1": 0.01, "small-v1": 0.4})
    world.apply()
    ticker = world.ticker()
    await run_until(world, ticker, in_phase("RolledBack"))
    world.act("retry")
    await run_until(world, ticker, in_phase("RolledBack", attempt=2))
    routes, rollouts = Kind(world, "modelroutes"), Kind(world, "modelrollouts")

    async def named(name: str, attempt: int | None = None) -> str:
        found = await find(routes, rollouts, NAMESPACE, name, attempt=attempt)
        return str(found["metadata"]["name"])

    assert await named(NAME) == f"{NAME}-2"
    assert await named(f"modelroute/{NAME}") == f"{NAME}-2"
    assert await named(NAME, attempt=1) == f"{NAME}-1"
    assert await named(f"{NAME}-1") == f"{NAME}-1"
    with pytest.raises(Invalid, match="there is no attempt 7; kept are 1, 2"):
        await named(NAME, attempt=7)
    with pytest.raises(Invalid, match="there is no ModelRoute and no ModelRollout nothing in namespace chat"):
        await named("nothing")


def test_a_route_that_has_begun_nothing_has_nothing_to_explain() -> None:
    with pytest.raises(Invalid, match="no attempt has begun"):
        chosen([{"spec": {"attempt": 1}, "status": {}}], "ModelRoute support", attempt=None)


@pytest.mark.parametrize(
    ("context", "namespace"), [(None, "chat"), ("other", "default")], ids=["the current one", "one without a namespace"]
)
def test_the_namespace_is_that_of_the_context(tmp_path: Path, context: str | None, namespace: str) -> None:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [
            {"name": "here", "context": {"cluster": "c", "user": "u", "namespace": "chat"}},
            {"name": "other", "context": {"cluster": "c", "user": "u"}},
        ],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")

    assert namespace_of(str(path), context=context) == namespace


# The command.


def explain(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(cli, ["explain", *arguments], input=text)


def shown(body: Json, *arguments: str) -> Result:
    done = explain("-f", "-", *arguments, text=yaml.safe_dump(body))
    assert done.exit_code == 0, done.output
    return done


async def test_what_another_version_of_the_engine_decided_is_not_computed_again_and_said() -> None:
    body = await rollout(0.2, objectives=[ERRORS])
    state = json.loads(body["status"]["engineState"])
    older = {**state, "v": "2", "limited": []}
    body["status"]["engineState"] = json.dumps(older)

    done = shown(body)

    said = " ".join(done.stdout.split())
    assert "Not computed again, the numbers are those of the operator: version 2 of the statistics decided" in said


async def test_json_has_what_the_table_says() -> None:
    body = await rollout(0.2, objectives=[ERRORS, SLOW])

    found = json.loads(shown(body, "-o", "json").stdout)

    assert (found["rollout"], found["route"], found["phase"]) == (f"{NAME}-1", NAME, "RolledBack")
    assert found["recomputed"] == {
        "windows": 3,
        "since": found["recomputed"]["since"],
        "whole": True,
        "agrees": True,
        "why": None,
    }
    assert found["decidedIn"]["objective"] == "errors"
    assert found["decidedIn"]["end"] == found["windows"][-1]["end"]
    errors, slow = found["objectives"]
    assert errors["wouldHaveTaken"]["fewerBad"] > 0
    assert errors["bound"] == "at most 0.5pp above the reference"
    assert (slow["compares"], slow["onBreach"]) == (False, "Pause")


async def test_the_windows_add_up_to_the_rates_once_those_of_the_settling_are_left_out_as_marked() -> None:
    body = await rollout(0.05, objectives=[ERRORS])

    found = json.loads(shown(body, "-o", "json").stdout)
    table = shown(body, "--windows", "60").stdout

    assert found["recomputed"]["whole"]
    (errors,) = found["objectives"]
    rows = [(each["settled"], each["counts"]["errors"]["small"]) for each in found["windows"]]
    for field in ("bad", "total"):
        assert sum(row[field] for settled, row in rows if settled) == errors["rates"]["candidate"][field]
    assert table.count("(settling: fast path only)") == sum(not settled for settled, _ in rows) > 0


async def test_one_window_is_no_plural_and_a_gap_that_nothing_bounds_is_not_called_unknown() -> None:
    said = " ".join(shown(await rollout(0.9, objectives=[ERRORS])).stdout.split())

    assert "Computed again from 1 window since" in said
    assert "nothing refuted" in said
    assert "not known" not in said


async def test_a_list_as_kubectl_prints_it_gives_the_latest_or_the_one_that_is_asked_for() -> None:
    first = await rollout(0.2)
    second = {**first, "metadata": {**first["metadata"], "name": f"{NAME}-2"}, "spec": {**first["spec"], "attempt": 2}}
    both = {"kind": "List", "items": [second, first]}

    assert shown(both).stdout.startswith(f"{NAME}-2, attempt 2 of {NAME}")
    assert shown(both, "--attempt", "1").stdout.startswith(f"{NAME}-1, attempt 1")
    assert shown(both, f"{NAME}-1").stdout.startswith(f"{NAME}-1, attempt 1")


@pytest.mark.parametrize(
    ("arguments", "text", "says"),
    [
        (("-f", "-"), "{", "is neither YAML nor JSON"),
        (("-f", "-"), "kind: ModelRoute", "there is no ModelRollout - (it holds ModelRoute)"),
        (("-f", "-"), "", "there is no ModelRollout - (it holds nothing)"),
        (("-f", "-"), "{kind: ModelRollout, spec: {attempt: 1}}", "no attempt has begun"),
        (
            ("-f", "-"),
            "{kind: ModelRollout, metadata: {name: a}, spec: {attempt: 1}, status: {phase: Pending}}",
            "spec.modelRoute: Field required",
        ),
    ],
    ids=["broken", "a route", "nothing", "not begun", "not whole"],
)
def test_a_file_that_cannot_be_explained_is_one_sentence(arguments: tuple[str, ...], text: str, says: str) -> None:
    done = explain(*arguments, text=text)

    assert isinstance(done.exception, Invalid)
    assert says in str(done.exception)


def test_somebody_has_to_say_which() -> None:
    done = explain()

    assert done.exit_code == 2
    assert "say which: the name of a ModelRoute or of a ModelRollout, or -f FILE" in done.stderr


async def test_a_rollout_is_read_from_the_cluster_of_the_kubeconfig(tmp_path: Path) -> None:
    body = await rollout(0.2)
    asked: list[str] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        found = (
            body if request.path.endswith(f"/modelrollouts/{NAME}-1") else {"kind": "Status", "message": "not found"}
        )
        answering(200 if found is body else 404, json.dumps(found))(request)

    with server(answer) as url:
        kubeconfig = kubeconfig_of(url, tmp_path)
        at = ("--kubeconfig", str(kubeconfig), "--context", "x")
        # The command has an event loop of its own, as it has where a person calls it.
        done = await asyncio.to_thread(explain, f"{NAME}-1", *at)
        missing = await asyncio.to_thread(explain, "nothing", *at, "-n", "elsewhere")

    assert done.exit_code == 0, done.output
    assert "and came to the same as the operator" in done.stdout
    root = "/apis/modelroute.dev/v1alpha1/namespaces"
    assert asked[0] == f"{root}/{NAMESPACE}/modelrollouts/{NAME}-1"
    assert asked[-1] == f"{root}/elsewhere/modelroutes/nothing"
    assert "there is no ModelRoute and no ModelRollout nothing in namespace elsewhere" in str(missing.exception)


@pytest.mark.parametrize(("until", "warns"), [("Progressing", True), ("RolledBack", False)])
async def test_of_a_cluster_it_is_said_that_nobody_writes_any_more(until: str, warns: bool, tmp_path: Path) -> None:
    body = await rollout(0.2, until=until)

    with server(answering(200, json.dumps(body))) as url:
        done = await asyncio.to_thread(explain, f"{NAME}-1", "--kubeconfig", str(kubeconfig_of(url, tmp_path)))

    assert done.exit_code == 0, done.output
    assert ("the operator may be down" in done.stdout.replace("\n", " ")) == warns
    assert "may be down" not in shown(body).stdout, "a file may be old"


async def test_of_a_route_that_cannot_go_on_it_is_said_why_and_not_only_how_the_last_attempt_ended(
    tmp_path: Path,
) -> None:
    world = World(bad_share={})
    world.apply()
    ticker = world.ticker()
    await run_until(world, ticker, in_phase("Stable"))
    await run_until(world, ticker, lambda status: "small 40 %" in status.get("live", ""))
    world.backends.answer = lambda backend, field: (
        Problem(Reason.BACKEND_NOT_FOUND, f"{field}: Service {backend.name} is not there")
        if backend.name == "small-v9"
        else None
    )
    world.apply(small_service="small-v9")
    await run_until(world, ticker, lambda status: "small-v9" in status.get("message", ""))
    kinds = {"modelrollouts": world.rollouts()[-1], "modelroutes": world.get("modelroutes")}

    def answer(request: BaseHTTPRequestHandler) -> None:
        kind, _, name = request.path.partition("?")[0].rpartition("/")
        found = kinds.get(kind.rpartition("/")[2]) if name == NAME or kind.endswith("modelrollouts") else None
        if request.path.partition("?")[0].endswith("/modelrollouts"):
            found = {"items": [kinds["modelrollouts"]]}
        if found is kinds["modelrollouts"] and name == NAME:
            found = None
        answering(404 if found is None else 200, json.dumps(found or {"kind": "Status"}))(request)

    with server(answer) as url:
        done = await asyncio.to_thread(explain, NAME, "--kubeconfig", str(kubeconfig_of(url, tmp_path)))

    assert done.exit_code == 0, done.exception
    first = " ".join(done.stdout.split())
    assert re.search(r"^support now: \w+ \(BackendNotFound\): .*Service small-v9 is not there", first), first
    assert "support-1, attempt 1 of support" in first


def kubeconfig_of(url: str, folder: Path) -> Path:
    path = folder / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": NAMESPACE}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_a_cluster_that_cannot_be_reached_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text("{apiVersion: v1, kind: Config, current-context: gone}", encoding="utf-8")

    done = explain(NAME, "--kubeconfig", str(path), "--context", "gone")

    assert isinstance(done.exception, Invalid)
    assert "no way to reach the API server is configured" in str(done.exception)


def test_in_a_narrow_pipe_columns_is_honoured_and_no_word_is_broken() -> None:
    at = ("explain", "-f", str(PAGE.parents[1] / "examples/rollouts/rolled-back.yaml"))

    lines = CliRunner(env={"COLUMNS": "60"}).invoke(cli, at).stdout.splitlines()

    assert max(map(len, lines)) <= 60
    said = " ".join(" ".join(lines).split())
    assert "errors of small (RollBack): Harmful small 3.45% (1.53%–6.47%), 25 of 725" in said
    assert "could be worse by: 7.02 pp" in said
    assert "small answers at all: NoHarmShown" in said
    assert "step 2: large 1/67, small 1/15; evidence 21.3 of 20 (ln E 3.06)" in said


def test_the_page_shows_what_the_command_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PAGE.parents[1])
    found = re.findall(r"```\n\$ modelroute explain (.*)\n((?:.*\n)*?)```", PAGE.read_text(encoding="utf-8"))
    assert len(found) == 2
    for command, output in found:
        done = explain(*command.split())

        assert done.exit_code == 0, done.output
        assert [line.rstrip() for line in done.stdout.splitlines()] == output.splitlines()
