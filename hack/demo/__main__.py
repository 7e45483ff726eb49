"""python -m demo: the two acts, then the summary. Exit code 0 if both ended as they should."""

from __future__ import annotations

import sys

from controlplane.errors import SetupError
from demo import story
from demo.summary import lost_requests, summary
from demo.teller import Teller
from devstack.errors import StackError
from devstack.process import end_in_order, end_with_make
from devstack.scene import Scene
from devstack.stack import Stack
from devstack.waiting import wait_until

NAMESPACE = "chat"


def play(teller: Teller) -> int:
    """Bring up the stack, play both acts, tell of them; the exit code."""
    for line in story.OPENING:
        teller.say(line)
    with Stack.start(scrape_interval_s=1.0, report=teller.say) as stack:
        scene = Scene(stack, stack.create_namespace(NAMESPACE))
        scene.set_up()
        scene.add_model(story.LARGE, seed=1)
        scene.add_model(story.SMALL, seed=2)
        scene.start_operator()
        teller.say(story.PROLOGUE)
        scene.apply(story.manifest(scene.host, weights=(100, 0)))
        wait_until(lambda: scene.status(story.ROUTE).get("phase") == "Stable", what="the route is Stable")
        load = scene.start_load(rate=story.RATE, duration_s=story.LOAD_S, seed=3)
        teller.say(f"{story.RATE:.0f} requests a second are sent to {stack.gateway_url} (Host: {scene.host})")
        wait_until(lambda: len(load.records()) > 100, what="requests are answered")
        teller.say()
        teller.say(story.FIRST_ACT)
        scene.apply(story.manifest(scene.host, weights=(60, 40)))
        promoted = teller.follow(
            scene, load, until=lambda s: s.get("phase") == "Stable" and s.get("attempt") == 1, within_s=150
        )
        teller.say()
        teller.say(story.SECOND_ACT)
        scene.add_model(story.BROKEN, seed=4, fail_rate=story.FAIL_RATE)
        scene.apply(story.manifest(scene.host, weights=(60, 40), small=story.BROKEN))
        rolled_back = promoted and teller.follow(
            scene, load, until=lambda s: s.get("phase") == "RolledBack", within_s=120
        )
        load.process.stop(grace_s=15.0)
        if not (promoted and rolled_back):
            stack.keep_logs("the demo did not end as it should")
            teller.say("The demo did not end as it should. What the route says:")
            teller.say(stack.kubectl("describe", "modelroute", story.ROUTE, "-n", NAMESPACE))
            return 1
        teller.say()
        teller.say("kubectl get modelroutes,modelrollouts:")
        for line in stack.kubectl("get", "modelroutes,modelrollouts", "-n", NAMESPACE).splitlines():
            teller.say("  " + line)
        records = load.records()
        teller.say()
        for line in summary(records, scene.rollouts()):
            teller.say("  " + line)
        return 0 if lost_requests(records) == 0 else 1


def main() -> None:
    end_in_order()
    end_with_make()
    teller = Teller(lambda line: print(line, flush=True))
    try:
        sys.exit(play(teller))
    except (StackError, SetupError) as error:
        print(f"The demo could not go on: {error}", *getattr(error, "__notes__", ()), sep="\n", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
