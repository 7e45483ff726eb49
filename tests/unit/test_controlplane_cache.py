"""What is built or fetched is kept once, whole, and by all that went into it; failures are one sentence."""

import errno
import threading
from pathlib import Path

import pytest

from controlplane import build, cache, progress
from controlplane.errors import SetupError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELROUTE_CACHE", str(tmp_path / "cache"))


def _silent(_line: str) -> None:
    pass


def test_an_entry_is_made_once() -> None:
    place = cache.entry("tool", "1.0.0", "key")
    made: list[Path] = []

    for _ in range(2):
        assert cache.fill(place, made.append, say=_silent) == place

    assert len(made) == 1


def test_two_runs_at_once_make_an_entry_once_and_the_second_says_that_it_waits() -> None:
    place = cache.entry("tool", "1.0.0", "key")
    in_make, may_end, says_that_it_waits = threading.Event(), threading.Event(), threading.Event()
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        in_make.set()
        assert may_end.wait(10)

    def second_says(line: str) -> None:
        assert line == "another run is getting tool; waiting for it"
        says_that_it_waits.set()

    first = threading.Thread(target=cache.fill, args=(place, make), kwargs={"say": _silent})
    second = threading.Thread(target=cache.fill, args=(place, make), kwargs={"say": second_says})
    first.start()
    assert in_make.wait(10)
    second.start()
    assert says_that_it_waits.wait(10)
    may_end.set()
    first.join(10)
    second.join(10)

    assert len(made) == 1
    assert place.is_dir()


def test_a_failure_leaves_nothing_half_made() -> None:
    place = cache.entry("tool", "1.0.0", "key")

    def make(folder: Path) -> None:
        (folder / "half").write_text("")
        raise SetupError("no")

    with pytest.raises(SetupError):
        cache.fill(place, make, say=_silent)

    assert list(place.parent.iterdir()) == []


def test_what_a_killed_run_left_is_swept_away() -> None:
    place = cache.entry("tool", "1.0.0", "key")
    left_over = place.parent / "key.part-abc"
    left_over.mkdir(parents=True)

    cache.fill(place, lambda _folder: None, say=_silent)

    assert list(place.parent.iterdir()) == [place]


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    def make(_folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(SetupError) as caught:
        cache.fill(cache.entry("tool", "1.0.0", "key"), make, say=_silent)

    assert str(caught.value) == (
        f"The disk that holds {tmp_path / 'cache'} is full: make room there, or name a folder on another disk in"
        " MODELROUTE_CACHE, and run the same again; what was half made is removed."
    )


def test_too_little_space_is_said_before_a_build_begins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Usage:
        free = 2_000_000_000

    monkeypatch.setattr("controlplane.build.shutil.disk_usage", lambda _path: Usage)

    with pytest.raises(SetupError) as caught:
        build.program("prometheus")

    assert str(caught.value) == (
        f"The disk that holds {tmp_path / 'cache'} has 2.0 GB free; building needs about 9 GB the first time."
    )


def test_another_platform_another_module_or_another_flag_is_another_entry() -> None:
    keys = {build.module_key(module, flag) for module in ("kubernetes", "prometheus") for flag in (b"", b"-s")}

    assert len(keys) == 4
    assert all(name.startswith(("linux-", "darwin-")) for name in keys)


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ("write /tmp/x: no space left on device", "the disk is full"),
        ("verifying module: checksum mismatch", "a download does not have the checksum that is written down"),
        ("dial tcp: lookup example.invalid: no such host", "a download failed"),
        ("ERROR: No matching distribution found for x", "a package has no file for this machine and this Python"),
        ("./main.go:3:1: syntax error", "the command ended with an error"),
    ],
)
def test_a_failed_command_is_one_sentence_with_its_reason_and_its_log(output: str, reason: str, tmp_path: Path) -> None:
    log = tmp_path / "build.log"

    with pytest.raises(SetupError) as caught:
        progress.run(["sh", "-c", f"echo '{output}'; exit 3"], doing="building it", log=log)

    assert str(caught.value) == f"Building it failed after 0 s: {reason}; see {log}"
    assert log.read_text().strip() == output


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0 s"), (59.9, "59 s"), (60, "1 min 00 s"), (754, "12 min 34 s")])
def test_a_time_is_said_in_minutes_and_seconds(seconds: float, words: str) -> None:
    assert progress.clock(seconds) == words
