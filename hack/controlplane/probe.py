"""Asking a program for its version."""

import os
import subprocess
from pathlib import Path

from controlplane.versions import Version, parse

_ARGUMENTS = {
    "go": ["version"],
    "helm": ["version", "--template={{.Version}}"],
    "kubeconform": ["-v"],
    "kubectl": ["version", "--client"],
    "traefik": ["version"],
}


def version_of(path: str | Path, name: str) -> Version | None:
    """What the program at `path` says it is, or None if it does not say within ten seconds."""
    try:
        answer = subprocess.run(
            [str(path), *_ARGUMENTS.get(name, ["--version"])],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=10,
            check=False,
            env={**os.environ, "GOTOOLCHAIN": "local"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    # Prometheus 2 wrote its version to stderr.
    return parse(answer.stdout) or parse(answer.stderr) if answer.returncode == 0 else None
