"""`modelroute get`, `status`, `history`, the verbs, `wait` and `watch`, on statuses that the operator itself wrote."""

from __future__ import annotations

import asyncio
import json

import click
import pytest
import yaml
from click.testing import CliRunner
from tests.fake_cluster import Person
from tests.fakes import NAME, STEP, World, in_phase, run_until
from tests.unit.test_tick import stable

from modelroute.cli.act import VERBS
from modelroute.cli.main import cli, plugin
from modelroute.controller.tick import Ticker
from modelroute.errors import Unavailable
from modelroute.rollout.verbs import Verb


async def progressing() -> tuple[World, Ticker]:
    """A world in the first step of a rollout, live and settled, with half a minute to go."""
    world, ticker = await stable()
    world.apply(rollout={"steps": [{**STEP, "progress": 50, "minDuration": "40s"}, {**STEP, "progress": 100}]})
    await run_until(world, ticker, lambda status: bool((status.get("objectives") or [{}])[0].get("candidateRequests")))
    return world, ticker


async def awaiting_approval() -> Person:
    world, ticker = await stable()
    world.apply(rollout={"steps": [{**STEP, "progress": 50, "approval": True}, {**STEP, "progress": 100}]})
    await run_until(world, ticker, in_phase("AwaitingApproval"))
    return Person.at(world, ticker)


async def rolled_back() -> Person:
    world, ticker = await progressing()
    world.bad_share = {"small-v1": 0.3}
    await run_until(world, ticker, in_phase("RolledBack"))
    return Person.at(world, ticker)


def person(scene: str) -> Person:
    match scene:
        case "stable":
            return Person.at(*asyncio.run(stable()))
        case "progressing":
            return Person.at(*asyncio.run(progressing()))
        case "awaiting approval":
            return asyncio.run(awaiting_approval())
        case _:
            return asyncio.run(rolled_back())


# get


def test_get_prints_the_columns_that_kubectl_prints() -> None:
    done = person("progressing").runs("get")

    header, row = (line.split() for line in done.output.splitlines())
    assert header == ["NAME", "PHASE", "STEP", "LIVE", "VERDICT", "REASON", "AGE"]
    assert row[:3] == [NAME, "Progressing", "1/2"]
    assert "small 20 %, large 80 %" in done.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("get", "-A"), "NAMESPACE"),
        (("get", "-o", "wide"), "REVISION"),
        (("get", "-o", "name"), "modelroute.modelroute.dev/support"),
        (("get", "-n", "elsewhere"), "No ModelRoutes found in namespace elsewhere"),
        (("get", NAME), "Progressing"),
    ],
)
def test_get_takes_kubectls_options(arguments: tuple[str, ...], says: str) -> None:
    done = person("progressing").runs(*arguments)

    assert says in done.output
    assert done.exit_code == 0


@pytest.mark.parametrize(("output", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_get_prints_objects_for_programs(output: str, read) -> None:
    someone = person("progressing")

    listed = read(someone.runs("get", "-o", output).output)
    one = read(someone.runs("get", NAME, "-o", output).output)

    assert listed["items"] == [one]
    assert one["status"]["phase"] == "Progressing"


@pytest.mark.parametrize("command", ["get", "status", "approve", "history", "wait", "watch"])
def test_a_route_that_there_is_not_is_said_in_one_sentence(command: str) -> None:
    done = person("stable").runs(command, "nobody")

    assert done.exit_code == 1
    assert "Error: there is no ModelRoute nobody in namespace chat" in done.output


@pytest.mark.parametrize("command", ["get", "status", "pause", "history", "wait"])
def test_an_api_server_that_does_not_answer_is_one_sentence(command: str) -> None:
    someone = person("stable")
    someone.cluster.problem = Unavailable("the API server did not answer GET /apis: MaxRetryError")

    if command != "get":
        done = someone.runs(command, NAME)
        assert done.exit_code == 1
        assert "Error: the API server did not answer" in done.output
    assert someone.runs("get").exit_code == 1


# status


@pytest.mark.parametrize(
    ("scene", "says"),
    [
        ("stable", ["support  in chat", "Stable", "large 100 %, as the spec wants it"]),
        (
            "progressing",
            [
                "step 1/2, 50 % of the way",
                "no harm shown",
                "allowed 0.5pp",
                "→ 40 %",
                "▶ 50 %",
                "of 20",
                "modelroute pause support",
            ],
        ),
        ("awaiting approval", ["Awaiting approval", "▶ 50 % (approval)", "modelroute approve support -n chat"]),
        ("rolled back", ["Rolled back", "harmful", "✘ 50 %", "HarmDetected", "modelroute retry support -n chat"]),
    ],
)
def test_status_tells_the_story_of_each_phase(scene: str, says: list[str]) -> None:
    done = person(scene).runs("status", NAME)

    assert done.exit_code == 0
    for words in says:
        assert words in done.output, f"{words!r} is not in\n{done.output}"


@pytest.mark.parametrize("width", [40, 80, 120, 240])
def test_no_line_of_a_status_is_wider_than_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    someone = person("rolled back")
    monkeypatch.setattr("tests.fake_cluster.WIDTH", width)

    lines = someone.runs("status", NAME).output.splitlines()

    assert max(map(len, lines)) <= width


def test_a_status_without_events_is_still_a_status() -> None:
    someone = person("progressing")
    someone.cluster.events_problem = Unavailable("403: forbidden")

    done = someone.runs("status", NAME)

    assert done.exit_code == 0
    assert "did not give them in time, or you may not read them" in done.output


def test_status_as_json_has_the_route_the_rollout_and_the_events() -> None:
    found = json.loads(person("rolled back").runs("status", NAME, "-o", "json").output)

    assert found["route"]["status"]["phase"] == "RolledBack"
    assert found["rollout"]["status"]["decision"]["reason"] == "HarmDetected"
    assert found["events"][-1]["reason"] == "RolledBack"


# Verbs


def test_every_verb_of_the_operator_has_its_command() -> None:
    full = {"promote-full"}  # promote --full

    assert {command.name for command in VERBS} | full == set(Verb)


def test_an_approval_is_sent_with_the_token_that_is_due_and_its_outcome_is_told() -> None:
    someone = person("awaiting approval")
    due = someone.world.status["nextAction"]

    done = someone.runs("approve", NAME)

    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[0] == "approved: the step is left when all else is met too"
    assert someone.world.status["lastAction"] == f"approve@{due}"
    assert someone.world.status["step"] == "2/2"


@pytest.mark.parametrize(
    ("scene", "arguments", "says"),
    [
        ("progressing", ("pause",), "paused: no promotion; harm still rolls back"),
        ("progressing", ("promote",), "promote: the waiting of this step is over"),
        ("progressing", ("promote", "--full"), "promote: the waiting of all steps to come is over"),
        ("progressing", ("abort",), "aborted: it goes back"),
        ("rolled back", ("retry",), "retry: attempt 2 starts"),
    ],
)
def test_a_verb_says_what_happened(scene: str, arguments: tuple[str, ...], says: str) -> None:
    verb, *flags = arguments
    done = person(scene).runs(verb, NAME, *flags)

    assert done.exit_code == 0, done.output
    assert says in done.output


@pytest.mark.parametrize(
    ("scene", "verb", "says"),
    [
        ("progressing", "approve", "refused: approve: this step does not wait for an approval"),
        ("progressing", "resume", "refused: resume: it is not paused"),
        ("progressing", "retry", "refused: retry: this attempt is still under way; abort it first"),
        ("rolled back", "approve", "refused: approve: no rollout is under way"),
        ("stable", "abort", "abort: nothing is due: support is Stable"),
    ],
)
def test_a_refused_verb_is_exit_code_1_with_the_operators_words(scene: str, verb: str, says: str) -> None:
    done = person(scene).runs(verb, NAME)

    assert done.exit_code == 1
    assert says in done.output


def test_a_verb_asked_again_at_the_same_moment_says_that_it_was_refused_before() -> None:
    someone = person("rolled back")
    someone.runs("approve", NAME)

    done = someone.runs("approve", NAME)

    assert done.exit_code == 1
    assert "was asked before, at this very moment" in done.output
    assert "no rollout is under way" in done.output


def test_a_verb_asked_again_after_its_refusal_is_answered_anew() -> None:
    someone = person("progressing")
    someone.runs("resume", NAME)

    done = someone.runs("resume", NAME)

    assert done.exit_code == 1
    assert "refused: resume: it is not paused" in done.output


def test_a_status_write_of_the_operator_in_between_does_not_keep_a_verb_from_being_written() -> None:
    someone = person("awaiting approval")

    def touch() -> None:
        body = someone.world.get("modelroutes")
        someone.world.store("modelroutes", {**body, "status": {**body["status"], "verdict": "NoHarmShown"}})

    someone.cluster.meanwhile = [touch, touch, touch]

    assert someone.runs("approve", NAME).exit_code == 0


def test_a_gate_that_the_person_has_not_seen_is_not_approved() -> None:
    someone = person("awaiting approval")

    def go_on() -> None:
        body = someone.world.get("modelroutes")
        someone.world.store("modelroutes", {**body, "status": {**body["status"], "nextAction": "554043c216.9"}})

    someone.cluster.meanwhile = [go_on]
    done = someone.runs("approve", NAME)

    assert done.exit_code == 1
    assert "is not due any more, because the rollout has gone on: due now is 554043c216.9" in done.output
    assert "annotations" not in someone.world.get("modelroutes")["metadata"]


@pytest.mark.parametrize(("program", "group"), [("modelroute", cli), ("kubectl modelroute", plugin)])
def test_what_a_message_says_to_run_is_the_program_that_was_run(program: str, group: click.Group) -> None:
    """krew installs the plugin alone."""
    session = person("awaiting approval").session()
    for arguments, runs in (
        (("approve", "nobody"), f"`{program} get -A`"),
        (("approve", NAME, "--token", "0.1"), f"`{program} status {NAME}`"),
    ):
        done = CliRunner().invoke(group, arguments, obj=session, prog_name=program)

        assert runs in done.output


def test_a_token_that_is_not_due_is_not_sent() -> None:
    done = person("awaiting approval").runs("approve", NAME, "--token", "000000.1")

    assert done.exit_code == 1
    assert "approve@000000.1 is not due any more" in done.output


def test_an_operator_that_is_away_is_waited_for_ten_seconds_and_no_longer() -> None:
    someone = person("progressing")
    someone.ticker = None
    began = someone.world.now

    done = someone.runs("pause", NAME)

    assert done.exit_code == 3
    assert "the operator has not taken it within 10 s: is it running?" in done.output
    assert someone.world.now - began == pytest.approx(10, abs=0.5)


# history


def test_history_lists_every_attempt_with_its_end_and_its_reason() -> None:
    done = person("rolled back").runs("history", NAME)

    (_, row) = done.output.splitlines()
    assert row.split()[0] == "1"
    assert "large 100 → 60 %, small 0 → 40 %" in row
    assert "RolledBack" in row
    assert "HarmDetected" in row


def test_on_a_narrow_terminal_history_says_what_moved_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fake_cluster.WIDTH", 60)

    lines = person("rolled back").runs("history", NAME).output.splitlines()

    assert lines[0].startswith("1  RolledBack  1/2  HarmDetected")
    assert lines[-1] == "   large 100 → 60 %, small 0 → 40 %"
    assert max(map(len, lines)) <= 60


def test_a_route_that_never_moved_has_no_history() -> None:
    assert "support was never rolled out." in person("stable").runs("history", NAME).output


# wait


@pytest.mark.parametrize(
    ("scene", "arguments", "code", "says"),
    [
        ("stable", (), 0, "support is promoted: large 100 %, as the spec wants it"),
        ("progressing", (), 0, "support is promoted: small 40 %, large 60 %"),
        ("progressing", ("--for", "stable"), 0, "support is stable"),
        ("progressing", ("--timeout", "20s"), 3, "support is not promoted after 20 s"),
        ("awaiting approval", ("--timeout", "20s"), 3, "AwaitingApproval"),
        ("rolled back", (), 2, "support is rolled back: attempt 1"),
        ("rolled back", ("--for", "stable"), 2, "support is rolled back"),
        ("stable", ("--timeout", "soon"), 1, "'soon' is not a duration such as 30s"),
        ("stable", ("--for", "ever"), 1, "'ever' is not one of"),
        ("stable", ("--nonsense",), 1, "No such option"),
    ],
)
def test_wait_ends_with_the_exit_code_that_says_how(
    scene: str, arguments: tuple[str, ...], code: int, says: str
) -> None:
    done = person(scene).runs("wait", NAME, *arguments)

    assert (done.exit_code, says in done.output) == (code, True), done.output


def test_a_rollout_that_harms_while_it_is_waited_for_is_exit_code_2() -> None:
    someone = person("progressing")
    someone.world.bad_share = {"small-v1": 0.3}

    assert someone.runs("wait", NAME).exit_code == 2


def test_a_stalled_rollout_is_exit_code_2() -> None:
    someone = person("stable")
    someone.world.apply(metrics={"source": "Istio"})

    done = someone.runs("wait", NAME)

    assert done.exit_code == 2
    assert "support is stalled" in done.output


def test_another_spec_than_the_one_waited_for_is_not_its_promotion() -> None:
    someone = person("progressing")
    sleep = Person._sleep
    changed: list[bool] = []

    def change(one: Person, seconds: float) -> None:
        if not changed:
            changed.append(True)
            one.world.apply(large=100, small=0)
        sleep(one, seconds)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Person, "_sleep", change)
        promoted = someone.runs("wait", NAME)
    stable_again = someone.runs("wait", NAME, "--for", "stable")

    assert promoted.exit_code == 2
    assert "the spec changed meanwhile" in promoted.output
    assert stable_again.exit_code == 0


def test_what_counts_down_is_not_said_every_second() -> None:
    done = person("progressing").runs("wait", NAME)

    assert len(done.output.splitlines()) < 12


# watch, in a pipe


def test_watch_in_a_pipe_prints_every_event_once_and_leaves_when_it_is_done() -> None:
    done = person("progressing").runs("watch", NAME, "--until-done")

    assert done.exit_code == 0
    assert done.output.count("Promoted: attempt 1 is done") == 1
    assert done.output.splitlines()[-1].endswith("Stable; live small 40 %, large 60 %")


def test_watch_as_json_is_one_object_a_line() -> None:
    done = person("progressing").runs("watch", NAME, "--until-done", "-o", "json")

    found = [json.loads(line) for line in done.output.splitlines()]
    assert {each["type"] for each in found} == {"Event", "Status"}
    assert found[-1]["status"]["phase"] == "Stable"
    assert [each["at"] for each in found if each["type"] == "Event"] == sorted(
        each["at"] for each in found if each["type"] == "Event"
    )


def test_an_outage_is_told_once_and_watched_through() -> None:
    someone = person("progressing")
    sleep, looks = Person._sleep, []

    def outage(one: Person, seconds: float) -> None:
        looks.append(seconds)
        one.cluster.problem = Unavailable("no answer") if 3 < len(looks) < 9 else None
        sleep(one, seconds)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Person, "_sleep", outage)
        done = someone.runs("watch", NAME, "--until-done")

    assert done.exit_code == 0
    assert done.stderr.count("no answer; trying again") == 1


# An operator that is down.


def dead(scene: str, *, for_s: float) -> Person:
    """The operator dies in the scene, and `for_s` later somebody looks."""
    someone = person(scene)
    someone.ticker = None
    someone.world.now += for_s
    return someone


async def blind(*, for_s: float) -> Person:
    """Prometheus is away, and the operator lives and says so."""
    world, ticker = await progressing()
    world.prometheus_problem = Unavailable("no answer")
    end = world.now + for_s
    await run_until(world, ticker, lambda _status: world.now > end)
    return Person.at(world, ticker)


def test_a_status_that_nobody_writes_any_more_says_so() -> None:
    done = dead("progressing", for_s=70).runs("status", NAME)

    assert done.output.splitlines()[1].startswith("Nothing was written for 1m1")
    assert "harm is not seen meanwhile" in done.output


@pytest.mark.parametrize("scene", ["progressing", "stable", "awaiting approval", "rolled back"])
@pytest.mark.parametrize("alive", [True, False])
def test_nobody_is_called_dead_who_has_nothing_to_write(scene: str, alive: bool) -> None:
    over = scene in {"stable", "rolled back"}
    someone = dead(scene, for_s=3_600) if over else dead(scene, for_s=0 if alive else 50)

    assert "was written for" not in someone.runs("status", NAME).output


def test_an_operator_that_cannot_read_is_told_from_one_that_is_down() -> None:
    output = " ".join(asyncio.run(blind(for_s=120)).runs("status", NAME).output.split())

    assert "No evidence was read for 2m" in output
    assert "The operator last said PrometheusUnavailable; where that is over, it may be down" in output
    assert "Nothing was written" not in output


def test_wait_warns_once_even_when_it_is_quiet_and_says_it_again_at_the_end() -> None:
    done = dead("progressing", for_s=0).runs("wait", NAME, "-q", "--timeout", "90s")

    assert done.exit_code == 3
    assert done.stderr.count("Warning: Nothing was written for 1m01s") == 1
    assert done.stderr.splitlines()[-1].count("Nothing was written for 1m3") == 1


@pytest.mark.parametrize("arguments", [(), ("-o", "json")])
def test_watch_in_a_pipe_warns_once_that_nobody_writes(arguments: tuple[str, ...]) -> None:
    someone = dead("progressing", for_s=0)
    sleep, looks = Person._sleep, []

    def until_tired(one: Person, seconds: float) -> None:
        looks.append(seconds)
        if len(looks) > 100:
            raise KeyboardInterrupt
        sleep(one, seconds)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Person, "_sleep", until_tired)
        done = someone.runs("watch", NAME, *arguments)

    assert done.output.count("Nothing was written for") == 1


# Colours.


def test_a_pipe_gets_no_colours_and_a_terminal_does(monkeypatch: pytest.MonkeyPatch) -> None:
    someone = person("rolled back")
    runner = CliRunner()

    def get(**environment: str) -> str:
        done = runner.invoke(cli, ["get"], obj=someone.session(), color=True, env=environment)
        return done.output

    assert "\x1b[31m" in get()
    assert "\x1b[" not in get(NO_COLOR="1")
    assert "\x1b[" not in someone.runs("get").output
    assert "\x1b[" not in someone.runs("status", NAME).output
