"""Prometheus, which scrapes Traefik and whatever it is told to while it runs."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from devstack.component import Component
from devstack.ground import Ground
from devstack.http import answers
from devstack.ports import start_on_free_ports


class Targets:
    """What is scraped besides Traefik: a file that Prometheus watches, rewritten whole at every change."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._labels: dict[str, dict[str, str]] = {}
        self._write()

    def add(self, address: str, labels: Mapping[str, str]) -> None:
        """`address` is HOST:PORT; `labels` are put on every series from there."""
        self._labels[address] = dict(labels)
        self._write()

    def remove(self, address: str) -> None:
        self._labels.pop(address, None)
        self._write()

    def _write(self) -> None:
        groups = [{"targets": [address], "labels": labels} for address, labels in self._labels.items()]
        part = self.file.with_suffix(".part")
        part.write_text(json.dumps(groups, indent=1), encoding="utf-8")
        part.replace(self.file)


class Prometheus(Component):
    def __init__(
        self,
        program: Path,
        *,
        port: int,
        config_file: Path,
        targets: Targets,
        ground: Ground,
    ) -> None:
        self.port, self.targets = port, targets
        argv: list[str | Path] = [
            program,
            f"--config.file={config_file}",
            f"--storage.tsdb.path={ground.data / 'prometheus'}",
            "--storage.tsdb.retention.time=1d",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
        ]
        ready = f"http://127.0.0.1:{port}/-/ready"
        super().__init__(ground.process("prometheus", argv), lambda: answers(ready), port=port, deadline_s=30)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def start(ground: Ground, program: Path, *, traefik: str, scrape_interval_s: float) -> Prometheus:
    """`traefik` is HOST:PORT of Traefik's metrics."""
    targets = Targets(ground.config / "targets.json")
    interval = f"{round(scrape_interval_s * 1000)}ms"
    config = {
        "global": {"scrape_interval": interval, "scrape_timeout": interval},
        "scrape_configs": [
            {"job_name": "traefik", "static_configs": [{"targets": [traefik]}]},
            {"job_name": "models", "file_sd_configs": [{"files": [str(targets.file)]}]},
        ],
    }
    config_file = ground.config / "prometheus.json"  # JSON is YAML
    config_file.write_text(json.dumps(config, indent=1), encoding="utf-8")

    def make(free_port: Callable[[], int]) -> Prometheus:
        return Prometheus(program, port=free_port(), config_file=config_file, targets=targets, ground=ground)

    prometheus = start_on_free_ports(make, ground.slot.free_port)
    ground.say(f"Prometheus is ready at {prometheus.url}")
    return prometheus
