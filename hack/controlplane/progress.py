"""Long commands, watched: a live line on a terminal, a plain line every half minute elsewhere, the output in a log."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from controlplane.errors import SetupError
from controlplane.keeper import Keeper

_PLAIN_EVERY_S = 30.0
_LIVE_EVERY_S = 0.5

# What a log says when the reason is not in the thing built: looked for in this order.
_REASONS = (
    ("the disk is full", ("no space left on device", "No space left on device")),
    ("a download does not have the checksum that is written down", ("checksum mismatch", "DO NOT MATCH THE HASHES")),
    (
        "a download failed",
        (
            "dial tcp", "i/o timeout", "no such host", "connection refused", "connection reset", "TLS handshake",
            "unexpected EOF", "Could not fetch URL", "NewConnectionError", "Max retries exceeded", "ReadTimeout",
            "502 Bad Gateway", "503 Service Unavailable", "404 Not Found", "410 Gone",
        ),
    ),
    ("a package has no file for this machine and this Python", ("No matching distribution found",)),
)  # fmt: skip


def say(line: str) -> None:
    print(line, flush=True)


def run(
    argv: Sequence[str | Path],
    *,
    doing: str,
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Runs `argv` to its end, or raises SetupError with the reason and the log's name."""
    started = time.monotonic()
    with _opened(log) as output:
        process = subprocess.Popen(
            list(map(str, argv)),
            cwd=cwd,
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        keeper = Keeper()
        keeper.watch(process.pid)
        try:
            _watch(process, doing=doing, log=log, started=started)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            keeper.forget(process.pid)
            keeper.close()
    took = clock(time.monotonic() - started)
    if process.returncode != 0:
        _clear_line()
        raise SetupError(f"{doing[:1].upper()}{doing[1:]} failed after {took}: {reason(log)}; see {log}")
    _clear_line()
    say(f"{doing}: done in {took}")


def _opened(log: Path) -> IO[bytes]:
    try:
        return log.open("wb")
    except OSError as error:
        raise SetupError(f"The log {log} cannot be written: {error.strerror}.") from error


def reason(log: Path) -> str:
    """Why the command that wrote `log` failed, in a few words."""
    text = log.read_text(encoding="utf-8", errors="replace")
    for words, signs in _REASONS:
        if any(sign in text for sign in signs):
            return words
    return "the command ended with an error"


def clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _watch(process: subprocess.Popen[bytes], *, doing: str, log: Path, started: float) -> None:
    live = sys.stdout.isatty()
    if not live:
        say(f"{doing} …")
    while True:
        try:
            process.wait(timeout=_LIVE_EVERY_S if live else _PLAIN_EVERY_S)
        except subprocess.TimeoutExpired:
            line = f"{doing} … {clock(time.monotonic() - started)}  {_last_line(log)}"
            if live:
                print(f"\r\033[K{line[: shutil.get_terminal_size().columns - 1]}", end="", flush=True)
            else:
                say(line[:160])
        else:
            return


def _last_line(log: Path) -> str:
    with log.open("rb") as handle:
        handle.seek(0, os.SEEK_END)
        handle.seek(max(0, handle.tell() - 400))
        lines = handle.read().decode("utf-8", errors="replace").split("\n")
    return lines[-2].strip() if len(lines) > 1 else ""


def _clear_line() -> None:
    if sys.stdout.isatty():
        print("\r\033[K", end="", flush=True)
