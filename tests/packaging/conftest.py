"""What the tests of the package share: the chart as helm renders it."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.packaging.chart import CHART, VALUES, Json, Render, Template, with_image

from controlplane import programs

# As in tests/unit: on Python 3.11 pytest-asyncio would make a loop before the first async test that nobody closes.
asyncio.set_event_loop(None)


@pytest.fixture(scope="session")
def helm() -> Path:
    """From PATH if it will do, else built once."""
    return programs.locate("helm").path


@pytest.fixture(scope="session")
def template(helm: Path) -> Template:
    """`helm template` of the chart as `rel` in `modelroute-system`; `values`, with an image, goes in as a file."""

    def run(*arguments: str, values: Json | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [helm, "template", "rel", CHART, "--namespace=modelroute-system", "--values=-", *arguments],
            input=yaml.safe_dump(with_image(values)),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def render(template: Template) -> Render:
    """The objects that the chart makes of `values`, or of the file of that name below values/."""

    def run(values: Json | str | None = None) -> list[Json]:
        content = yaml.safe_load((VALUES / f"{values}.yaml").read_text()) if isinstance(values, str) else values
        done = template(values=content)
        assert done.returncode == 0, done.stderr
        return [each for each in yaml.safe_load_all(done.stdout) if each]

    return run
