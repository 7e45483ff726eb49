"""The photographs of a report, with stand-ins for Chromium and pdftoppm that write what they are asked for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from demo.photograph import photograph

# Each writes the file that its arguments name, and adds its arguments to the list beside it.
BROWSER = """
import pathlib, sys
pathlib.Path({told!r}).open("a").write(" ".join(sys.argv[1:]) + "\\n")
for argument in sys.argv[1:]:
    name, _, value = argument.partition("=")
    if name in ("--screenshot", "--print-to-pdf"):
        pathlib.Path(value).write_text("drawn")
"""
SHEETS = """
import pathlib, sys
for number in (1, 2, 3):
    pathlib.Path(f"{{sys.argv[-1]}}-{{number}}.png").write_text("sheet")
"""


def program(folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.write_text(f"#!{sys.executable}\n{text.format(told=str(folder / 'told'))}")
    file.chmod(0o755)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    (folder / "report.html").write_text("<p>report</p>")
    return folder / "report.html"


@pytest.mark.parametrize(
    ("there", "written", "says"),
    [
        (["chromium", "pdftoppm"], ["report-dark.png", "report-light.png", "report-printed.png"], ""),
        (["google-chrome"], ["report-dark.png", "report-light.png"], "There is no pdftoppm"),
        (["pdftoppm"], [], "There is no Chromium"),
    ],
)
def test_a_report_is_photographed_with_what_there_is(
    there: list[str],
    written: list[str],
    says: str,
    page: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    programs, images = tmp_path / "bin", tmp_path / "images"
    programs.mkdir()
    images.mkdir()
    for name in there:
        program(programs, name, SHEETS if name == "pdftoppm" else BROWSER)
    monkeypatch.setenv("PATH", str(programs))

    made = list(photograph(page, images, name="report"))

    assert [path.name for path in made] == written
    assert sorted(path.name for path in images.iterdir()) == written
    assert says in capsys.readouterr().out


def test_the_printed_pages_are_laid_side_by_side(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "chromium", BROWSER)
    program(tmp_path, "pdftoppm", SHEETS)
    monkeypatch.setenv("PATH", str(tmp_path))

    list(photograph(page, tmp_path, name="report"))

    assert (page.parent / "sheets.html").read_text().count("<img") == 3
    assert "--window-size=1924,834" in (tmp_path / "told").read_text().splitlines()[-1]
