"""`python -m controlplane` gets everything that the local stack needs, and says where it is; with `--charts`, what
the tests of the Helm chart need instead. `--path NAME` prints the path of one program, and nothing else.
"""

import argparse
import signal
import sys

from controlplane import build, programs
from controlplane.errors import SetupError


def main() -> int:
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda number, _frame: sys.exit(128 + number))
    options = _options()
    try:
        if options.path:
            print(programs.locate(options.path, say=lambda line: print(line, file=sys.stderr)).path)
            return 0
        found = [programs.locate(name) for name in (programs.CHART_NAMES if options.charts else programs.NAMES)]
        manifests = None if options.charts else build.gateway_api_crds()
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; what was finished is kept.", file=sys.stderr)
        return 130
    if not options.quiet:
        for program in found:
            print(f"{program.name:24} {program.origin:26} {program.path}")
        if manifests is not None:
            print(f"{'Gateway API':24} {'Go module':26} {manifests}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m controlplane", description=__doc__)
    parser.add_argument("--quiet", action="store_true", help="do not say where things are")
    parser.add_argument("--charts", action="store_true", help="what the tests of the chart need")
    parser.add_argument("--path", choices=(*programs.NAMES, *programs.CHART_NAMES), help="print this program's path")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
