"""`python -m controlplane` gets everything that the local stack needs, and says where it is."""

import signal
import sys

from controlplane import build, programs
from controlplane.errors import SetupError


def main() -> int:
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, lambda number, _frame: sys.exit(128 + number))
    quiet = "--quiet" in sys.argv[1:]
    try:
        found = [programs.locate(name) for name in programs.NAMES]
        manifests = build.gateway_api_crds()
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped; what was finished is kept.", file=sys.stderr)
        return 130
    if not quiet:
        for program in found:
            print(f"{program.name:24} {program.origin:26} {program.path}")
        print(f"{'Gateway API':24} {'Go module':26} {manifests}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
