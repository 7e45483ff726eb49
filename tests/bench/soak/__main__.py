"""`make soak`: many routes, random rollouts and random faults on the real stack, for as long as is asked for.

    python -m tests.bench.soak                                     # 200 routes, 30 minutes
    python -m tests.bench.soak --routes 20 --minutes 2             # to see that it runs
    make soak SOAK="--routes 100 --minutes 10 --seed 7"

Exit code 0 if nothing was violated. What it starts ends with it, also when it is killed.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from tests.bench.soak.report import data_of, markdown, write
from tests.bench.soak.soak import Options, Soak
from tests.bench.soak.world import World

from controlplane.errors import SetupError
from devstack.errors import StackError
from devstack.process import end_in_order, end_with_make
from devstack.stack import REPOSITORY, Stack

SET_UP_AT_MOST_S = 900.0
LONGEST_MINUTES = 180.0


def parse_arguments() -> tuple[Options, Path]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0, help="of load and rollouts (default 30, at most 180)")
    parser.add_argument("--routes", type=int, default=200, help="ModelRoutes (default 200)")
    parser.add_argument("--at-once", type=int, default=16, help="rollouts under way at any time (default 16)")
    parser.add_argument("--rate", type=float, default=120.0, help="requests a second in all (default 120, at most 400)")
    parser.add_argument("--namespaces", type=int, default=4, help="that the routes are in (default 4)")
    parser.add_argument("--scrape", type=float, default=2.0, help="seconds between scrapes (default 2)")
    parser.add_argument("--fault-every", type=float, default=40.0, help="seconds between faults, mean (default 40)")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is drawn (default 1)")
    parser.add_argument("--out", type=Path, default=REPOSITORY / ".stack" / "soak", help="where the report goes")
    given = parser.parse_args()
    if not 0 < given.minutes <= LONGEST_MINUTES or not 0 < given.routes <= 1000 or given.namespaces < 1:
        parser.error(f"--minutes goes up to {LONGEST_MINUTES:g}, --routes to 1000, --namespaces from 1 on")
    options = Options(
        duration_s=given.minutes * 60,
        routes=given.routes,
        at_once=given.at_once,
        rate=given.rate,
        namespaces=given.namespaces,
        scrape_interval_s=given.scrape,
        fault_every_s=given.fault_every,
        seed=given.seed,
    )
    return options, given.out


def run(options: Options, out: Path) -> int:
    """The exit code; the report is written also where the run is cut short."""
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {line}", flush=True)

    with Stack.start(scrape_interval_s=options.scrape_interval_s, report=say) as stack:
        world = World(stack, namespaces=options.namespaces, scrape_interval_s=options.scrape_interval_s, settings={})
        soak = Soak(world, options, say)
        soak.set_up()
        try:
            soak.run()
        finally:
            data = data_of(soak)
            for path in write(data, out):
                say(f"{path} is written")
            if data["violations"]:
                stack.keep_logs(f"the soak found {len(data['violations'])} violations")
            print(markdown(data))
    return 1 if data["violations"] else 0


def _out_of_time(_number: int, _frame: FrameType | None) -> None:
    sys.exit("The soak was not done long after it should have been, and is ended.")


def main() -> None:
    options, out = parse_arguments()
    end_in_order()
    end_with_make()
    signal.signal(signal.SIGALRM, _out_of_time)
    signal.setitimer(signal.ITIMER_REAL, SET_UP_AT_MOST_S + options.duration_s * 1.2)
    try:
        sys.exit(run(options, out))
    except (StackError, SetupError) as error:
        print(f"The soak could not go on: {error}", *getattr(error, "__notes__", ()), sep="\n", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
