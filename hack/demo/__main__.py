"""python -m demo: the acts, then the summary. Exit code 0 if all ended as they should and no request was lost.

On a terminal the plugin's screen is drawn live while an act is played; anywhere else there are plain lines.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from controlplane.errors import SetupError
from demo import story, summary
from demo.stage import Stage
from demo.teller import Teller
from devstack.errors import StackError
from devstack.process import end_in_order, end_with_make
from devstack.request_record import RequestRecord
from devstack.scene import ModelServer, Scene
from devstack.stack import Stack
from devstack.waiting import wait_until

NAMESPACE = "chat"


@contextmanager
def saying_when_stopped(teller: Teller) -> Iterator[None]:
    """A stack takes seconds to end, and whoever pressed Ctrl-C sees at once that it does."""
    try:
        yield
    except KeyboardInterrupt:
        teller.say("stopping the stack …")
        raise


def play(teller: Teller) -> int:
    """Bring up the stack, play all acts, tell of them; the exit code."""
    for line in story.OPENING:
        teller.say(line)
    with Stack.start(scrape_interval_s=1.0, report=teller.say) as stack, saying_when_stopped(teller):
        scene = Scene(stack, stack.create_namespace(NAMESPACE))
        scene.set_up()
        scene.add_model(story.LARGE, seed=1)
        scene.add_model(story.SMALL, seed=2)
        scene.start_operator()
        teller.say(story.PROLOGUE)
        scene.apply(story.manifest(scene.host, weights=(100, 0)))
        wait_until(lambda: scene.status(story.ROUTE).get("phase") == "Stable", what="the route is Stable")
        load = scene.start_load(rate=story.RATE, duration_s=story.LOAD_S, seed=3)
        teller.say(f"to look for yourself meanwhile, elsewhere: export KUBECONFIG={stack.kubeconfig}")
        teller.say(f"{story.RATE:.0f} requests a second are sent to {stack.gateway_url} (Host: {scene.host})")
        wait_until(lambda: len(load.records()) > 100, what="requests are answered")
        teller.act(story.FIRST_ACT)
        scene.apply(story.manifest(scene.host, weights=(60, 40)))
        done = teller.follow(
            scene, load, until=lambda s: s.get("phase") == "Stable" and s.get("attempt") == 1, within_s=150
        )
        servers: list[ModelServer] = []
        for number, setback in enumerate(story.SETBACKS, start=2):
            if not done:
                break
            servers.append(scene.add_model(setback.service, seed=number, **setback.faults))
            teller.act(setback.title)
            scene.apply(story.manifest(scene.host, weights=(60, 40), small=setback.service))
            done = teller.follow(scene, load, until=_rolled_back(number), within_s=setback.within_s)
        if not done:
            stack.keep_logs("the demo did not end as it should")
            teller.say("The demo did not end as it should. What the route says:")
            teller.say(stack.kubectl("describe", "modelroute", story.ROUTE, "-n", NAMESPACE))
            return 1
        seen = [server.seen() for server in servers]
        load.process.stop(grace_s=15.0)
        teller.say()
        teller.say("kubectl get modelroutes,modelrollouts:")
        for line in stack.kubectl("get", "modelroutes,modelrollouts", "-n", NAMESPACE).splitlines():
            teller.say("  " + line)
        return _sum_up(teller, scene, load.records(), seen)


def _rolled_back(attempt: int) -> Callable[[dict[str, object]], bool]:
    return lambda status: status.get("phase") == "RolledBack" and status.get("attempt") == attempt


def _sum_up(teller: Teller, scene: Scene, records: list[RequestRecord], seen: list[tuple[int, float]]) -> int:
    first, *others = scene.rollouts()
    teller.say()
    teller.say(f"Summary of {len(records):,} requests")
    teller.say(f"{story.FIRST_ACT} {summary.promoted(first)}")
    for setback, rollout, (requests, last_at) in zip(story.SETBACKS, others, seen, strict=True):
        back = summary.Setback(setback.title, rollout, setback.service, requests, last_at)
        for line in summary.setback_lines(back, records):
            teller.say(line)
    lost = summary.lost_requests(records)
    teller.say(f"Requests that failed because of weight changes: {lost}")
    return 0 if lost == 0 else 1


def main() -> None:
    end_in_order()
    end_with_make()
    console = Console(highlight=False)
    on_screen = console.is_terminal and not console.is_dumb_terminal
    teller = Stage(console) if on_screen else Teller(lambda line: print(line, flush=True))
    try:
        sys.exit(play(teller))
    except (StackError, SetupError) as error:
        print(f"The demo could not go on: {error}", *getattr(error, "__notes__", ()), sep="\n", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
