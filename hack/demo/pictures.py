"""python -m demo.pictures: docs/images/ anew, of a real rollout on the local stack.

The screens of `watch` are written by rich itself, from the plugin's own screen. The report is photographed with
Chromium in light, in dark and printed; where there is none, those stay as they are, and a line says so.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from rich import _export_format
from rich.console import Console
from rich.terminal_theme import SVG_EXPORT_THEME

from demo import story
from demo.photograph import photograph
from devstack.process import end_in_order, end_with_make
from devstack.scene import Scene
from devstack.stack import REPOSITORY, Stack
from devstack.waiting import wait_until
from modelroute.cli.screen import screen
from modelroute.cli.session import Session
from modelroute.cli.view import View, read_view
from modelroute.cluster.reader import open_reader

IMAGES: Final = REPOSITORY / "docs" / "images"
WIDTH: Final = 116
EVENTS: Final = 5
NAMESPACE: Final = "chat"
USUAL: Final = 0.004
"""What both models fail of their requests, as real ones do."""
STEPS: Final = [
    {"progress": 25, "minDuration": "25s", "minRequests": 100},
    {"progress": 50, "minDuration": "10s", "minRequests": 200, "approval": True},
    {"progress": 100, "minDuration": "10s", "minRequests": 200},
]
# Pages load their fonts from where the reader is; a picture in a repository loads nothing.
SVG: Final = re.sub(r"@font-face \{\{.*?\}\}\s*", "", _export_format.CONSOLE_SVG_FORMAT, flags=re.DOTALL)

Json = dict[str, Any]


def svg(view: View, *, name: str) -> str:
    """The screen of `watch` as a picture of a terminal. `name` is unique among the pictures of one page."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, highlight=False)
    console.print(screen(view, width=WIDTH, program="kubectl modelroute", events=EVENTS))
    title = f"kubectl modelroute watch {view.route.metadata.name}"
    drawn = console.export_svg(title=title, theme=SVG_EXPORT_THEME, code_format=SVG, unique_id=name)
    return "\n".join(line.rstrip() for line in drawn.splitlines()) + "\n"


def main() -> int:
    end_in_order()
    end_with_make()
    IMAGES.mkdir(exist_ok=True)
    with Stack.start(scrape_interval_s=1.0, report=print) as stack:
        scene = Scene(stack, stack.create_namespace(NAMESPACE))
        session = Session(open_reader(str(stack.kubeconfig), None), NAMESPACE)
        _play(scene, session)
        _photograph_report(scene)
    return 0


def _play(scene: Scene, session: Session) -> None:
    """A rollout that is judged, waits for a person, and goes back from there, because the model begins to fail."""
    scene.set_up()
    scene.add_model(story.LARGE, seed=1, fail_rate=USUAL)
    small = scene.add_model(story.SMALL, seed=2, fail_rate=USUAL)
    scene.start_operator()
    scene.apply(_manifest(scene, large=100, small=0))
    _until(scene, "Stable")
    load = scene.start_load(rate=story.RATE, duration_s=300.0, seed=3)
    wait_until(lambda: len(load.records()) > 500, what="requests are answered")
    scene.apply(_manifest(scene, large=60, small=40))
    _until(scene, "Progressing", lambda status: any(each.get("candidateRequests", 0) > 150 for each in _seen(status)))
    _write(session, "progressing")
    _until(scene, "AwaitingApproval")
    _write(session, "awaiting-approval")
    small.control(fail_rate=0.3)
    _until(scene, "RolledBack")
    _write(session, "rolled-back")


def _manifest(scene: Scene, *, large: int, small: int) -> Json:
    made = story.manifest(scene.host, weights=(large, small))
    made["spec"]["rollout"]["steps"] = STEPS
    return made


def _seen(status: Json) -> list[Json]:
    return list(status.get("objectives") or ())


def _until(scene: Scene, phase: str, also: Callable[[Json], bool] = bool) -> None:
    def holds() -> bool:
        status = scene.status(story.ROUTE)
        return status.get("phase") == phase and also(status)

    wait_until(holds, what=f"the route is {phase}", timeout_s=120.0, interval_s=0.5)


def _write(session: Session, phase: str) -> None:
    path = IMAGES / f"watch-{phase}.svg"
    path.write_text(svg(read_view(session, story.ROUTE), name=phase), encoding="utf-8")
    print(path)


def _photograph_report(scene: Scene) -> None:
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        report: list[str | Path] = [
            sys.executable,
            "-m",
            "modelroute.cli.main",
            "report",
            story.ROUTE,
            "-n",
            NAMESPACE,
            "-o",
            page,
        ]
        subprocess.run([*report, "--kubeconfig", scene.stack.kubeconfig], check=True, timeout=60)
        for picture in photograph(page, IMAGES, name="report"):
            print(picture)


if __name__ == "__main__":
    sys.exit(main())
