"""The image of the Dockerfile, built without Docker and without a registry, on a base of Debian's packages.

The Dockerfile is taken as it is; what is ours is what its FROM finds: Debian's Python, for that of python:…-slim.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from controlplane import cache
from devstack.stack import REPOSITORY
from node.machine import PAUSE, run

SUITE, PACKAGES = "bookworm", ("ca-certificates", "netbase", "python3", "python3-pip", "python3-venv", "tzdata")


def tag(suite: str, packages: Sequence[str]) -> str:
    """One of its own for every base that can be asked for, so that another one is made anew."""
    return f"debian-{suite}-{hashlib.sha256(' '.join(packages).encode()).hexdigest()[:12]}"


TAG = tag(SUITE, PACKAGES)
BASE, IMAGE = f"docker.io/library/python:{TAG}", "docker.io/modelroute/modelroute:node"


def archives(folder: Path, *, say: Callable[[str], None]) -> list[Path]:
    """The operator's image, and the one that holds the namespaces of a pod, as archives in `folder`."""
    if not {BASE, PAUSE} <= set(_buildah("images", "--format={{.Name}}:{{.Tag}}").split()):
        say(f"Making a base of the packages of Debian {SUITE}, once")
        _make_base()
    say("Building the Dockerfile")
    _buildah(
        "build", "--layers", "--isolation=chroot", "--pull-never", f"--build-arg=PYTHON={TAG}",
        # Whom this machine trusts: pip gets the packages.
        "--volume=/etc/ssl/certs:/etc/ssl/certs:ro", f"--tag={IMAGE}", REPOSITORY,
    )  # fmt: skip
    found: list[Path] = []
    for image in (IMAGE, PAUSE):
        found.append(folder / f"{len(found)}.tar")
        _buildah("push", "--quiet", image, f"docker-archive:{found[-1]}:{image}")
    return found


def _make_base() -> None:
    with tempfile.TemporaryDirectory(prefix="modelroute-base-") as root:
        run("debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, root)
        (Path(root) / "usr" / "bin" / "python").symlink_to("python3")
        for needless in ("var/cache/apt", "var/lib/apt/lists"):
            shutil.rmtree(Path(root) / needless)
        base = _buildah("from", "scratch")
        _buildah("copy", "--quiet", base, root, "/")
        _buildah("config", "--env=PATH=/usr/sbin:/usr/bin:/sbin:/bin", base)
        _buildah("commit", "--quiet", base, BASE)
        # It does nothing but be there.
        _buildah("config", '--entrypoint=["sleep", "infinity"]', "--user=65535:65535", base)
        _buildah("commit", "--quiet", "--rm", base, PAUSE)


def _buildah(*arguments: str | Path) -> str:
    """With a store of its own, which the next run finds again."""
    store = cache.root() / "node-images"
    return run("buildah", f"--root={store}", f"--runroot={store}/run", "--storage-driver=overlay", *arguments).strip()
