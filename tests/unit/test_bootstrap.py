"""hack/bootstrap.py, the first thing that runs on a fresh machine."""

import ast
from pathlib import Path

import pytest

import bootstrap
from controlplane.errors import SetupError


def test_an_old_python_can_read_the_file_far_enough_to_say_that_it_is_too_old() -> None:
    ast.parse(Path(bootstrap.__file__).read_text(encoding="utf-8"), feature_version=(3, 6))


def environment(folder: Path, name: str = "dev", lock: str = "click==8.2.0\n") -> bootstrap.Environment:
    (folder / f"{name}.txt").write_text(lock)
    return bootstrap.Environment(name, repository=folder, locks=folder)


def test_an_environment_made_from_the_same_files_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = environment(tmp_path)
    made.folder.mkdir()
    made.stamp.write_text(made.fingerprint())
    monkeypatch.setattr(bootstrap, "Environment", lambda: made)
    monkeypatch.setattr(bootstrap, "_make", lambda _environment: pytest.fail("it was made again"))

    assert bootstrap.main() == 0


def test_another_lock_is_another_environment(tmp_path: Path) -> None:
    before = environment(tmp_path).fingerprint()

    assert environment(tmp_path, lock="click==8.1.0\n").fingerprint() != before


def test_each_name_has_a_folder_and_a_lock_of_its_own(tmp_path: Path) -> None:
    names = {name: environment(tmp_path, name).folder.name for name in ("dev", "eval")}

    assert names == {"dev": ".venv", "eval": ".venv-eval"}


def test_a_name_without_a_lock_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert bootstrap.main(["evall"]) == 1
    assert "There is no environment 'evall': " in capsys.readouterr().err


def test_a_python_without_venv_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = environment(tmp_path)
    monkeypatch.setattr("bootstrap.importlib.util.find_spec", lambda _name: None)

    with pytest.raises(SetupError, match="comes without venv and ensurepip"):
        bootstrap._make(made)


def test_no_lock_names_an_address_to_fetch_from() -> None:
    for lock in sorted(bootstrap.LOCKS.glob("*.txt")):
        assert "://" not in lock.read_text(encoding="utf-8"), lock
