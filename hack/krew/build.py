"""Makes the archive of `kubectl modelroute` for this platform, and the krew manifest for all archives in a folder.

    python hack/krew/build.py archive --into dist/krew          once on each platform
    python hack/krew/build.py manifest --into dist/krew --from-url https://…/v0.1.0 --homepage https://…

The archive holds the package with all that it needs, and two scripts that start it with the user's python3. Compiled
dependencies make it one of a platform and of a version of Python, so the manifest names both.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
TEMPLATE = Path(__file__).parent / "modelroute.yaml.in"
SCRIPTS = {
    "kubectl-modelroute": "modelroute.cli.main:kubectl_main",
    "kubectl_complete-modelroute": "modelroute.cli.complete:main",
}
ARCHITECTURES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def launcher(entry: str) -> str:
    """A shell script that finds itself through links and runs `entry` (module:function) from the folder beside it."""
    module, _, function = entry.partition(":")
    return f"""#!/bin/sh
# Made by hack/krew/build.py: starts {module} with the packages beside this file.
here=$(dirname "$(readlink -f "$0")")
PYTHONPATH="$here/lib" PYTHONDONTWRITEBYTECODE=1 exec "${{MODELROUTE_PYTHON:-python3}}" -c \\
  'import sys
if sys.version_info[:2] != ({PYTHON.replace(".", ", ")}):
    sys.exit("kubectl modelroute: this archive is for Python {PYTHON}: set MODELROUTE_PYTHON to one")
from {module} import {function}
{function}()' "$@"
"""


def archive(into: Path, packages: Path | None) -> Path:
    """The .tar.gz for this platform. `packages`: a folder of installed packages to take instead of asking pip."""
    into.mkdir(parents=True, exist_ok=True)
    name = f"kubectl-modelroute-{platform.system().lower()}-{ARCHITECTURES[platform.machine()]}"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / name
        folder.mkdir()
        if packages is not None:
            shutil.copytree(packages, folder / "lib")
        else:
            asked = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder / "lib"), str(ROOT)]
            subprocess.run(asked, check=True)
        # An eighth of the whole, and nobody runs them.
        for tests in [each for each in (folder / "lib").rglob("tests") if each.is_dir()]:
            shutil.rmtree(tests, ignore_errors=True)
        shutil.copy(ROOT / "LICENSE", folder / "LICENSE")
        for script, entry in SCRIPTS.items():
            (folder / script).write_text(launcher(entry), encoding="utf-8")
            (folder / script).chmod(0o755)
        file = into / f"{name}.tar.gz"
        with tarfile.open(file, "w:gz") as tar:
            tar.add(folder, arcname=".")
    return file


def manifest(into: Path, *, url: str, homepage: str, version: str) -> dict[str, Any]:
    """The krew manifest for every archive in `into`, to be found below `url`."""
    text = TEMPLATE.read_text(encoding="utf-8")
    for word, value in {"VERSION": version, "HOMEPAGE": homepage, "PYTHON": PYTHON}.items():
        text = text.replace(f"@{word}@", value)
    found: dict[str, Any] = yaml.safe_load(text)
    found["spec"]["platforms"] = [_platform(file, url) for file in sorted(into.glob("kubectl-modelroute-*.tar.gz"))]
    if not found["spec"]["platforms"]:
        raise SystemExit(f"{into}: there is no archive in it; make one with `{Path(__file__).name} archive`")
    return found


def _platform(file: Path, url: str) -> dict[str, Any]:
    named = re.fullmatch(r"kubectl-modelroute-(\w+)-(\w+)\.tar\.gz", file.name)
    if named is None:
        raise SystemExit(f"{file.name} does not name a platform, for example kubectl-modelroute-linux-amd64.tar.gz")
    return {
        "selector": {"matchLabels": {"os": named[1], "arch": named[2]}},
        "uri": f"{url.rstrip('/')}/{file.name}",
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "bin": "kubectl-modelroute",
    }


def version() -> str:
    """The package's own, read without importing it."""
    text = (ROOT / "operator/modelroute/__init__.py").read_text(encoding="utf-8")
    found = re.search(r'__version__ = "([^"]+)"', text)
    assert found is not None
    return found[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["archive", "manifest"])
    parser.add_argument("--into", type=Path, default=ROOT / "dist/krew")
    parser.add_argument("--packages", type=Path, help="installed packages to take instead of asking pip")
    parser.add_argument("--from-url", help="for manifest: the folder of the release that the archives are in")
    parser.add_argument("--homepage", help="for manifest: where the project is at home")
    options = parser.parse_args()
    if options.what == "archive":
        print(archive(options.into, options.packages))
        return
    if not options.from_url or not options.homepage:
        parser.error("manifest needs --from-url and --homepage")
    found = manifest(options.into, url=options.from_url, homepage=options.homepage, version=version())
    file = options.into / "modelroute.yaml"
    file.write_text(yaml.safe_dump(found, sort_keys=False, width=110), encoding="utf-8")
    print(json.dumps([each["selector"]["matchLabels"] for each in found["spec"]["platforms"]]), file)


if __name__ == "__main__":
    main()
