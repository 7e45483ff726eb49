"""Photographs of a report with Chromium: in light, in dark, and as it comes out of a printer.

The printed pages are drawn by poppler's pdftoppm and laid side by side by Chromium again, so that no library for
pictures is needed.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
SHEET: Final = (620, 802)
"""Width and height of a printed page on the photograph, in pixels: US Letter, which Chromium takes unasked."""
GAP: Final = 16
# What the page has to say is in the file: nothing is fetched, and nothing is told to anyone.
QUIET: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
)


def photograph(page: Path, images: Path, *, name: str) -> Iterator[Path]:
    """Write `name`-light.png, -dark.png and -printed.png; what there is no program for stays as it is, and a line says
    so."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print("There is no Chromium: the pictures of the report stay as they are.")
        return
    for scheme, number in (("dark", 0), ("light", 1)):
        scheme_flag = f"--blink-settings=preferredColorScheme={number}"
        yield _screenshot(browser, page, images / f"{name}-{scheme}.png", (1000, 2400), scheme_flag)
    if shutil.which("pdftoppm") is None:
        print("There is no pdftoppm (poppler-utils): the picture of the printed report stays as it is.")
        return
    yield _printed(browser, page, images / f"{name}-printed.png")


def _printed(browser: str, page: Path, picture: Path) -> Path:
    folder = page.parent
    _run(browser, page, "--no-pdf-header-footer", f"--print-to-pdf={folder}/printed.pdf")
    width, height = SHEET
    subprocess.run(
        ["pdftoppm", "-png", "-scale-to-x", str(width), "-scale-to-y", "-1", folder / "printed.pdf", folder / "sheet"],
        check=True,
        timeout=60,
    )
    sheets = sorted(folder.glob("sheet-*.png"))
    style = f"margin:0;padding:{GAP}px;background:#8a8f98;display:flex;gap:{GAP}px;align-items:flex-start"
    drawn = "".join(f'<img src="{sheet.name}" width="{width}">' for sheet in sheets)
    table = folder / "sheets.html"
    table.write_text(f'<!DOCTYPE html><body style="{style}">{drawn}</body>', encoding="utf-8")
    whole = (len(sheets) * (width + GAP) + GAP, height + 2 * GAP)
    return _screenshot(browser, table, picture, whole)


def _screenshot(browser: str, page: Path, picture: Path, size: tuple[int, int], *more: str) -> Path:
    _run(browser, page, f"--window-size={size[0]},{size[1]}", f"--screenshot={picture}", *more)
    return picture


def _run(browser: str, page: Path, *arguments: str) -> None:
    profile = f"--user-data-dir={page.parent}/profile"
    subprocess.run([browser, *QUIET, profile, *arguments, page.as_uri()], check=True, capture_output=True, timeout=120)
