"""Makes the archive of `kubectl modelroute` for this platform, and the krew manifest for all archives in a folder.

    python hack/krew/build.py archive --into dist/krew          once on each platform
    python hack/krew/build.py manifest --into dist/krew --from-url https://…/v0.1.0 --homepage https://…

The archive holds the package with all that it needs, as it is locked for the operator's image, and two scripts that
start it with the user's Python. Compiled dependencies make it one of a platform and of a version of Python, so the
manifest names both. krew unpacks files and folders, no links, and keeps no times.
"""

from __future__ import annotations

import argparse
import compileall
import hashlib
import platform
import py_compile
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
TEMPLATE = Path(__file__).parent / "modelroute.yaml.in"
LOCK = ROOT / "hack/image/requirements.txt"
SCRIPTS = ("kubectl-modelroute", "kubectl_complete-modelroute")
UNUSED = ("bin", "kubernetes/aio")
"""What dependencies bring that nothing here imports or runs: scripts for another Python, and a second client."""
ARCHITECTURES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
IS_FOR = re.compile(r"this archive is for Python (\d+\.\d+)")
"""In `launcher`: by this an archive says itself which Python made it."""


def launcher() -> str:
    """A shell script that finds itself through links and does what the name says that it is called by.

    krew links nothing but the plugin; a link to that link, by the other name, holds through krew's upgrades. No
    variable is set: programs that a kubeconfig names for credentials are often Python as well, and of another version.
    """
    return f"""#!/bin/sh
# Made by hack/krew/build.py: starts modelroute with the packages beside this file.
here=$(dirname "$(readlink -f "$0")")
case $(basename "$0") in
  kubectl_complete-*) entry=modelroute.cli.complete:main ;;
  *) entry=modelroute.cli.main:kubectl_main ;;
esac
exec "${{MODELROUTE_PYTHON:-$(command -v python{PYTHON} || echo python3)}}" -c \\
  'import sys
if sys.version_info[:2] != ({PYTHON.replace(".", ", ")}):
    sys.exit("kubectl modelroute: this archive is for Python {PYTHON}: set MODELROUTE_PYTHON to one")
lib, entry = sys.argv.pop(1), sys.argv.pop(1)
sys.path[:] = [lib, *filter(None, sys.path)]
sys.dont_write_bytecode = True
from importlib import import_module
module, function = entry.split(":")
getattr(import_module(module), function)()' "$here/lib" "$entry" "$@"
"""


def archive(into: Path, packages: Path | None) -> Path:
    """The .tar.gz for this platform. `packages`: a folder with installed dependencies to take instead of asking pip."""
    into.mkdir(parents=True, exist_ok=True)
    name = f"kubectl-modelroute-{platform.system().lower()}-{ARCHITECTURES[platform.machine()]}"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / name
        folder.mkdir()
        fill(folder / "lib", packages)
        shutil.copy(ROOT / "LICENSE", folder / "LICENSE")
        for script in SCRIPTS:
            (folder / script).write_text(launcher(), encoding="utf-8")
            (folder / script).chmod(0o755)
        file = into / f"{name}.tar.gz"
        with tarfile.open(file, "w:gz") as tar:
            tar.add(folder, arcname=".", filter=_nobodys)
    return file


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Who built an archive is nobody's business, and unpacked as root it would belong to whoever has that number."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def fill(lib: Path, packages: Path | None) -> None:
    """The folder that is put on Python's path."""
    if packages is not None:
        shutil.copytree(packages, lib)
    else:
        asked = [
            "--no-compile",
            "--require-hashes",
            "--only-binary=:all:",
            "--target",
            str(lib),
            "--requirement",
            str(LOCK),
        ]
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *asked], check=True)
    # Copied and not installed: setuptools would pack what an earlier build left.
    shutil.copytree(ROOT / "operator/modelroute", lib / "modelroute", ignore=shutil.ignore_patterns("__pycache__"))
    # An eighth of the whole, and nobody runs them.
    for unused in [each for each in lib.rglob("tests") if each.is_dir()] + [lib / each for each in UNUSED]:
        shutil.rmtree(unused, ignore_errors=True)
    # Unchecked, because krew keeps no times: what looks stale would be compiled anew by each command.
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    if not compileall.compile_dir(lib, quiet=2, force=True, stripdir=str(lib), invalidation_mode=unchecked):
        raise SystemExit(f"{lib}: not all of it could be compiled")


def manifest(into: Path, *, url: str, homepage: str, version: str) -> dict[str, Any]:
    """The krew manifest for every archive in `into`, to be found below `url`; empty where `--archive` will name it."""
    files = sorted(into.glob("kubectl-modelroute-*.tar.gz"))
    if not files:
        raise SystemExit(f"{into}: there is no archive in it; make one with `{Path(__file__).name} archive`")
    text = TEMPLATE.read_text(encoding="utf-8")
    for word, value in {"VERSION": version, "PYTHON": _python(files)}.items():
        text = text.replace(f"@{word}@", value)
    found: dict[str, Any] = yaml.safe_load(text)
    if homepage:
        found["spec"]["homepage"] = homepage
    found["spec"]["platforms"] = [_platform(file, url) for file in files]
    return found


def _python(files: Sequence[Path]) -> str:
    """The version of Python that the archives are for; the manifest has one for all of them."""
    versions: dict[str, str] = {}
    for file in files:
        with tarfile.open(file) as tar:
            # It is near the start: the rest need not be unpacked.
            script = next((each for each in tar if each.name == f"./{SCRIPTS[0]}"), None)
            opened = tar.extractfile(script) if script else None
            said = IS_FOR.search(opened.read().decode()) if opened else None
        if said is None:
            raise SystemExit(f"{file} does not say which Python it is for: make it anew")
        versions[file.name] = said[1]
    if len(set(versions.values())) > 1:
        each = ", ".join(f"{name} is for {version}" for name, version in versions.items())
        raise SystemExit(f"The archives are for different versions of Python, and a manifest names one: {each}")
    return next(iter(versions.values()))


def _platform(file: Path, url: str) -> dict[str, Any]:
    named = re.fullmatch(r"kubectl-modelroute-(\w+)-(\w+)\.tar\.gz", file.name)
    if named is None:
        raise SystemExit(f"{file.name} does not name a platform, for example kubectl-modelroute-linux-amd64.tar.gz")
    return {
        "selector": {"matchLabels": {"os": named[1], "arch": named[2]}},
        "uri": f"{url.rstrip('/')}/{file.name}" if url else file.name,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "bin": "kubectl-modelroute",
    }


class _Dumper(yaml.SafeDumper):
    """With the lines of a text below each other."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


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
    parser.add_argument("--from-url", default="", help="for manifest: the folder of the release with the archives")
    parser.add_argument("--homepage", default="", help="for manifest: where the project is at home")
    options = parser.parse_args()
    if options.what == "archive":
        print(archive(options.into, options.packages))
        return
    found = manifest(options.into, url=options.from_url, homepage=options.homepage, version=version())
    file = options.into / "modelroute.yaml"
    file.write_text(yaml.dump(found, Dumper=_Dumper, sort_keys=False, width=200), encoding="utf-8")
    print(
        file,
        "for",
        ", ".join("/".join(each["selector"]["matchLabels"].values()) for each in found["spec"]["platforms"]),
    )
    if not options.from_url:
        (here, *_) = sorted(options.into.glob("kubectl-modelroute-*.tar.gz"))
        print(f"kubectl krew install --manifest={file} --archive={here}")


if __name__ == "__main__":
    main()
