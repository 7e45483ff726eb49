"""docs/tutorial.md, run as it is written: its bash blocks in one shell, its text blocks as what they have to print."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from devstack.stack import REPOSITORY

PAGE: Final = REPOSITORY / "docs" / "tutorial.md"
END: Final = "the-block-has-ended"
NOT_THE_READERS: Final = ("MODELROUTE_", "MAKE", "MFLAGS", "PYTHONPATH")
"""Variables that `make e2e` sets for the tests."""
LOCAL: Final = frozenset({".stack", ".git"})
"""What a checkout of the reader's own would not share with this one."""


@dataclass(frozen=True, slots=True)
class Block:
    """Commands, the line of the page that they begin on, and the lines that have to be printed, in order."""

    line: int
    commands: str
    shown: tuple[str, ...]


def blocks(page: str) -> list[Block]:
    """The bash blocks of a page; a text block belongs to the bash block before it."""
    found: list[Block] = []
    for fence in re.finditer(r"^```(\w+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        kind, content = fence.groups()
        if kind == "bash":
            found.append(Block(page.count("\n", 0, fence.start()) + 2, content, ()))
        elif kind == "text":
            found[-1] = Block(found[-1].line, found[-1].commands, tuple(content.splitlines()))
    return found


def pattern(line: str) -> re.Pattern[str]:
    """What a line of the page stands for: `…` is anything, gaps are as wide as they are, all else is meant."""
    words = (re.escape(word).replace("…", ".*") for word in line.split())
    return re.compile(r"\s+".join(words).replace(r"\s+.*", r"\s*.*"))


def missing(shown: tuple[str, ...], printed: str) -> str | None:
    """The first line of `shown` that `printed` does not have after the ones before it."""
    lines: Iterator[str] = iter(printed.splitlines())
    return next((line for line in shown if not any(pattern(line).search(each) for each in lines)), None)


class Shell:
    """One bash for the whole page, as the reader has it."""

    def __init__(self, folder: Path) -> None:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(NOT_THE_READERS)}
        environment |= {"MODELROUTE_STACK": str(folder / ".stack"), "TERM": "dumb"}
        if cache := os.environ.get("MODELROUTE_CACHE"):
            environment["MODELROUTE_CACHE"] = cache
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, commands: str) -> tuple[int, str]:
        """Exit code of the first command that failed, else 0, and what was printed."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"failed=0; trap 'failed=$?' ERR\n{commands}\ntrap - ERR; echo; echo {END} $failed\n")
        self._bash.stdin.flush()
        printed: list[str] = []
        for line in self._bash.stdout:
            if line.startswith(END):
                return int(line.split()[1]), "".join(printed)
            printed.append(line)
        raise AssertionError(f"the shell ended: {''.join(printed)}")

    def close(self) -> None:
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.close()
        self._bash.wait(timeout=60)
        self._bash.stdout.close()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with everything of this checkout in it, where the tutorial may leave its files."""
    for each in REPOSITORY.iterdir():
        if each.name not in LOCAL:
            (tmp_path / each.name).symlink_to(each)
    return tmp_path


@pytest.fixture
def shell(checkout: Path) -> Iterator[Shell]:
    opened = Shell(checkout)
    yield opened
    opened.run("kill $LOAD 2>/dev/null; make down >/dev/null 2>&1")
    opened.close()


def test_the_tutorial_does_what_it_says(shell: Shell, checkout: Path) -> None:
    for block in blocks(PAGE.read_text(encoding="utf-8")):
        code, printed = shell.run(block.commands)

        where = f"docs/tutorial.md:{block.line}\n{block.commands}\nprinted:\n{printed}"
        assert code == 0, where
        assert missing(block.shown, printed) is None, f"not printed: {missing(block.shown, printed)}\n{where}"

    assert "HarmDetected" in (checkout / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("shown", "printed", "lacking"),
    [
        (("a … c", "d"), "x a   b c\nother\nd\n", None),
        (("a", "b"), "b\na\n", "b"),
        (("weight 40 %",), "weight 50 %\n", "weight 40 %"),
    ],
)
def test_what_the_page_shows_has_to_be_printed_in_its_order(
    shown: tuple[str, ...], printed: str, lacking: str | None
) -> None:
    assert missing(shown, printed) == lacking
