"""The chart, as the tests of the package speak of it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
CHART = REPOSITORY / "charts" / "modelroute"
VALUES = Path(__file__).parent / "values"

IMAGE = "modelroute/modelroute"
"""What tests set where they are about something else: the chart names no image of its own."""

Json = dict[str, Any]
Template = Callable[..., subprocess.CompletedProcess[str]]
Render = Callable[..., list[Json]]


def with_image(values: Json | None) -> Json:
    return {**(values or {}), "image": {"repository": IMAGE, **(values or {}).get("image", {})}}


def only(objects: list[Json], kind: str) -> Json:
    """The one object of that kind."""
    (found,) = (each for each in objects if each["kind"] == kind)
    return found
