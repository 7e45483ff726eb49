"""hack/bootstrap.py, the first thing that runs on a fresh machine."""

import ast
from pathlib import Path

import pytest

import bootstrap
from controlplane.errors import SetupError


def test_an_old_python_can_read_the_file_far_enough_to_say_that_it_is_too_old() -> None:
    ast.parse(Path(bootstrap.__file__).read_text(encoding="utf-8"), feature_version=(3, 6))


def test_an_environment_made_from_the_same_files_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stamp = tmp_path / "stamp"
    stamp.write_text(bootstrap._fingerprint())
    monkeypatch.setattr(bootstrap, "_STAMP", stamp)
    monkeypatch.setattr(bootstrap, "_make", lambda _stamp: pytest.fail("it was made again"))

    assert bootstrap.main() == 0


def test_another_lock_is_another_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = bootstrap._fingerprint()
    other = tmp_path / "dev.txt"
    other.write_text("click==8.1.0\n")
    monkeypatch.setattr(bootstrap, "LOCK", other)

    assert bootstrap._fingerprint() != before


def test_a_python_without_venv_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bootstrap.importlib.util.find_spec", lambda _name: None)

    with pytest.raises(SetupError, match="comes without venv and ensurepip"):
        bootstrap._make("stamp")


def test_no_lock_names_an_address_to_fetch_from() -> None:
    for lock in sorted(bootstrap.LOCK.parent.glob("*.txt")):
        assert "://" not in lock.read_text(encoding="utf-8"), lock
