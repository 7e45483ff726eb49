"""A real disk of a few kilobytes or megabytes: a tmpfs in a mount namespace that one child process sees."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from devstack.stack import REPOSITORY

_MOUNT = 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"'


def _unshare() -> list[str]:
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *as_root, "--mount", "--", "sh", "-c", _MOUNT, "sh"]


@cache
def _refusal() -> str:
    """Why this machine gives us no file system of our own; empty where it does."""
    if sys.platform != "linux":
        return "only Linux has mount namespaces"
    try:
        tried = subprocess.run(
            [*_unshare(), "64k", "/mnt", "true"], capture_output=True, text=True, timeout=30, check=False
        )
    except FileNotFoundError:
        return "there is no program unshare"
    return "" if tried.returncode == 0 else f"a mount namespace is refused: {' '.join(tried.stderr.split())}"


def run_on_small_disk(
    size: str, folder: Path, argv: list[str], *, timeout_s: float = 300.0, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `argv` where `folder` is an empty disk of `size` (256k, 16m); skips where none can be had."""
    if why := _refusal():
        pytest.skip(f"no small file system can be made here: {why}")
    folder.mkdir(parents=True, exist_ok=True)
    paths = os.pathsep.join(str(REPOSITORY / each) for each in ("hack", "operator", "."))
    return subprocess.run(
        [*_unshare(), size, str(folder), *argv],
        env={**os.environ, "PYTHONPATH": paths, "MODELROUTE_UNDER_MAKE": "", "TMPDIR": str(folder), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
