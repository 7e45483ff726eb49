"""What ships may be used under Apache-2.0: the licence of every package in the image's lock, as installed here."""

import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "hack/image/requirements.txt"
PERMISSIVE = re.compile(
    r"\b(MIT|BSD|0BSD|Apache|Apache-2\.0|PSF-2\.0|Python Software Foundation|ISC|Zlib|CC0-1\.0|CNRI-Python|Unlicense)\b"
)
COPYLEFT = re.compile(r"\b(A?GPL|LGPL|MPL|EPL|EUPL|CDDL|SSPL|Mozilla|General Public)", re.IGNORECASE)
KNOWN = {
    # Copyleft file by file: it is shipped as it was published, and its source is what it is.
    "certifi": "MPL-2.0",
}
"""Others that are allowed, and what their metadata says."""


def shipped() -> list[str]:
    """The names in the lock that are for this Python and system."""
    lines = re.sub(r"\\\n", " ", LOCK.read_text()).splitlines()
    wanted = [Requirement(re.sub(r"--hash=\S+", "", line).strip()) for line in lines if re.match(r"[A-Za-z0-9]", line)]
    return sorted({each.name for each in wanted if each.marker is None or each.marker.evaluate()})


def licence(name: str) -> str:
    """What a package says of itself: its SPDX expression, else its classifiers and its licence field, else the first
    lines of the licence that comes with it.
    """
    told = metadata.metadata(name)
    if expression := told.get_all("License-Expression"):
        return str(expression[0])
    classifiers = [each for each in told.get_all("Classifier") or [] if each.startswith("License ::")]
    fields = [each.splitlines()[0] for each in told.get_all("License") or [] if each]
    if classifiers or fields:
        return " ".join([*classifiers, *fields])
    files = [file for file in metadata.files(name) or [] if re.search(r"LICEN[CS]E", file.name, re.IGNORECASE)]
    return " ".join(Path(str(file.locate())).read_text(encoding="utf-8")[:200] for file in files[:1])


def test_the_lock_of_the_image_is_read():
    assert {"aiohttp", "certifi", "kopf", "kubernetes", "numpy"} <= set(shipped())


@pytest.mark.parametrize("name", shipped())
def test_what_ships_has_a_permissive_licence(name):
    said = licence(name)

    if name in KNOWN:
        assert KNOWN[name] in said
        return
    assert PERMISSIVE.search(said), f"{name} is under {said or 'no licence that it tells'}"
    # "A OR B" may be taken as A; "A AND B" may not.
    assert not COPYLEFT.search(said) or " OR " in said, f"{name} is under {said}"
