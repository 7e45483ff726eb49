"""A full disk under the stack, and under the cache of programs: one sentence, nothing left running or half believed.

The disk is real, and so is its ENOSPC; where the machine allows no mount namespace, the tests skip and say so.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.small_disk import run_on_small_disk

PROCESSES = Path("/proc")

# Starts a stack in a process that goes on after the failure, and tells what is left then.
_STACK = """
import json, os, sys, time
from pathlib import Path
from controlplane.errors import SetupError
from devstack import space
from devstack.errors import StackError
from devstack.process import Process, alive
from devstack.stack import Stack

pids, really = [], Process.start
def start(process):
    really(process)
    pids.append(process.pid)
Process.start = start
space.NEEDED_BYTES = int(sys.argv[2])
folder = Path(sys.argv[1]) / "stack"
try:
    Stack.start(folder).close()
    said = ""
except StackError as error:
    said = str(error)
left = sorted(str(each.relative_to(folder)) for each in folder.rglob("*")) if folder.exists() else []
print(json.dumps({"said": said, "started": len(pids), "alive": [pid for pid in pids if alive(pid)], "left": left}))
"""


def stack_on(size: str, folder: Path, *, needed: int) -> dict[str, Any]:
    ended = run_on_small_disk(size, folder, [sys.executable, "-c", _STACK, str(folder), str(needed)])
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def test_a_disk_that_is_too_small_for_a_stack_is_said_before_anything_starts(tmp_path: Path) -> None:
    found = stack_on("50m", tmp_path / "disk", needed=300_000_000)

    assert found["said"] == (
        f"The disk that holds {tmp_path / 'disk' / 'stack'} has 52 MB free, and a stack needs 300 MB: make room, or"
        " name a folder on another disk (TMPDIR; for `make up`: MODELROUTE_STACK), and start again."
    )
    assert (found["started"], found["alive"], found["left"]) == (0, [], [])


@pytest.mark.parametrize("size", ["16k", "64k", "8m", "66m"])
def test_a_disk_that_fills_up_while_a_stack_starts_is_one_sentence_and_leaves_nothing_running(
    tmp_path: Path, size: str
) -> None:
    """From one on which not even folders find room up to one that holds etcd and little more."""
    found = stack_on(size, tmp_path / "disk", needed=0)

    said = str(found["said"])
    assert said.startswith(f"The disk that holds {tmp_path / 'disk' / 'stack'} is full (")
    assert said.endswith(
        " MB free), so the stack did not start: make room, or name a folder on another disk (TMPDIR; for `make up`:"
        " MODELROUTE_STACK), and start again."
    )
    assert "\n" not in said
    assert found["alive"] == []
    assert not any(str(each).startswith("data") for each in found["left"])


def test_make_up_on_a_full_disk_says_so_and_holds_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    ended = run_on_small_disk(
        "50m", folder, [sys.executable, "-m", "devstack", "up"], MODELROUTE_STACK=str(folder / ".stack")
    )

    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith(f"The disk that holds {folder / '.stack'} has 52 MB free, and a stack needs 300 MB")
    assert ended.stderr.count("\n") == 1
    assert not holders_of(folder)


def holders_of(folder: Path) -> list[str]:
    """Processes whose environment names `folder`."""
    found = []
    for process in PROCESSES.iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid():
            try:
                if str(folder).encode() in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
    return found


# Fills an entry of the cache twice: on a full disk, and once there is room.
_CACHE = """
import json, os, subprocess, sys
from pathlib import Path
from controlplane import cache, progress
from controlplane.errors import SetupError

disk, how = Path(sys.argv[1]), sys.argv[2]
place = cache.entry("tool", "1.0.0", "key")

def unpack(folder):
    with (folder / "program").open("wb") as program:
        for _ in range(8):
            program.write(os.urandom(1_000_000))

def build(folder):
    command = f"head -c 8000000 /dev/urandom > {folder}/program"
    progress.run(["sh", "-c", command], doing="building it", log=cache.log_file("tool"))

def attempt():
    try:
        return str(cache.fill(place, {"unpack": unpack, "build": build}[how], say=lambda line: None))
    except SetupError as error:
        return str(error)

first = attempt()
left = sorted(str(each.relative_to(place.parent)) for each in place.parent.rglob("*")) if place.parent.exists() else []
subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
second = attempt()
size = (place / "program").stat().st_size if place.is_dir() else 0
print(json.dumps({"first": first, "left": left, "second": second, "size": size}))
"""


@pytest.mark.parametrize("how", ["unpack", "build"])
@pytest.mark.parametrize("size", ["4k", "4m"])
def test_a_program_that_finds_no_room_in_the_cache_is_one_sentence_and_no_entry(
    tmp_path: Path, size: str, how: str
) -> None:
    """Not even folders fit on 4k; a half program fits on 4m, and may not be taken for one later."""
    disk = tmp_path / "disk"
    place = disk / "cache" / "tool" / "1.0.0" / "key"
    ended = run_on_small_disk(
        size, disk, [sys.executable, "-c", _CACHE, str(disk), how], MODELROUTE_CACHE=str(disk / "cache")
    )
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])

    assert found["first"] == (
        f"The disk that holds {disk / 'cache'} is full: make room there, or name a folder on another disk in"
        " MODELROUTE_CACHE, and run the same again; what was half made is removed."
    )
    assert found["left"] == []
    assert (found["second"], found["size"]) == (str(place), 8_000_000)


def test_the_same_command_says_it_to_people(tmp_path: Path) -> None:
    """`make programs` with a cache on a disk without room for a build."""
    disk = tmp_path / "disk"
    ended = run_on_small_disk(
        "4m", disk, [sys.executable, "-m", "controlplane", "--quiet"], MODELROUTE_CACHE=str(disk / "cache")
    )

    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr + ended.stdout
    said = ended.stderr + ended.stdout
    assert f"The disk that holds {disk / 'cache'} has 0.0 GB free; building needs about 9 GB the first time" in said
    assert not list((disk / "cache").glob("*/*/*"))
