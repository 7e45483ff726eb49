"""Who listens where."""

import socket
import sys
from pathlib import Path

_LISTENING = "0A"


def is_free(port: int, address: str = "127.0.0.1") -> bool:
    """Whether a server could listen there at this moment."""
    with socket.socket() as probe:
        # As servers do: a connection that is only waiting out its TIME_WAIT does not make a port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
        return True


def listens(pid: int, port: int) -> bool:
    """Whether it is this very process that listens on an IPv4 `port`: another one there may answer just as well.

    True, for want of a better answer, where the system does not show it (it does on Linux).
    """
    if sys.platform != "linux":
        return True
    own = set()
    try:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            own.add(str(descriptor.readlink()))
    except OSError:
        # The process, or this descriptor of it, has just gone: the next look will tell.
        return False
    with Path("/proc/self/net/tcp").open(encoding="ascii") as table:
        rows = [line.split() for line in table][1:]
    return any(
        row[3] == _LISTENING and int(row[1].rpartition(":")[2], 16) == port and f"socket:[{row[9]}]" in own
        for row in rows
    )
