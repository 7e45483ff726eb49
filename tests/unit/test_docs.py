"""The pages: every link leads somewhere, and nothing that users meet is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import pytest
import yaml

import fields_page
from modelroute.api.parse import parse
from modelroute.api.resources import ModelRoute
from modelroute.controller.finalizer import FINALIZER
from modelroute.rollout.reasons import Reason

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
PAGES: Final = (ROOT / "README.md", *sorted(DOCS.rglob("*.md")))
IMAGES: Final = sorted((DOCS / "images").iterdir())
MOST_BYTES: Final = 300_000
SAYS_NOTHING: Final = frozenset({"", "-", "–", "?"})


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(page: Path) -> str:
    """A page without its fenced blocks, in which brackets mean something else."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_leads_to_something(page: Path) -> None:
    links = re.findall(r"(?:\]\(|src=\"|srcset=\")([^)\"\s]+)[)\"]", prose(page))
    dead = []
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)

    assert dead == []


def test_every_test_that_the_page_of_faults_names_is_there() -> None:
    found = list(named_tests(DOCS / "faults.md"))

    missing = [(file, test) for file, test in found if not is_defined(test, source(file))]
    assert missing == []
    assert len(found) > 100, "they were read"


def named_tests(page: Path) -> Iterator[tuple[str, str]]:
    """Every file and every test of it that a page names; a file alone comes with no test."""
    file = ""
    for named, test in re.findall(r"(\w+/test_\w+\.py)|::(test_\w+)", page.read_text(encoding="utf-8")):
        file = named or file
        yield file, test


def is_defined(test: str, where: str) -> bool:
    return (f"def {test}(" if test else "def test_") in where


def source(file: str) -> str:
    path = ROOT / "tests" / file
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def test_every_page_is_listed_in_the_overview() -> None:
    overview = (DOCS / "README.md").read_text(encoding="utf-8")

    missing = [page.relative_to(DOCS) for page in PAGES[1:] if page.name != "README.md"]
    assert [str(page) for page in missing if f"]({page})" not in overview] == []


def test_the_page_of_fields_says_what_the_definitions_say() -> None:
    assert fields_page.PAGE.read_text(encoding="utf-8") == fields_page.page(), "run `python -m fields_page`"


def leaves(schema: dict[str, Any], path: str) -> Iterator[tuple[str, str]]:
    """Every field below `schema` with its sentence."""
    for field, below in schema.get("properties", {}).items():
        yield f"{path}.{field}", below.get("description", "")
        yield from leaves(below.get("items", below), f"{path}.{field}")


@pytest.mark.parametrize("plural", fields_page.KINDS)
def test_every_field_is_on_the_page_with_a_sentence(plural: str) -> None:
    crd = yaml.safe_load((ROOT / "crds" / f"modelroute.dev_{plural}.yaml").read_text(encoding="utf-8"))
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    page = fields_page.PAGE.read_text(encoding="utf-8")

    for part in ("spec", "status"):
        for path, sentence in leaves(schema["properties"][part], part):
            assert sentence.endswith("."), f"{path} has no sentence"
            assert sentence.replace("|", "\\|") in page, f"{path} is not on the page"


def reasons() -> dict[str, tuple[str, str]]:
    """What docs/reasons.md says of each: what it means, and what to do."""
    page = (DOCS / "reasons.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|([^|]*)\|([^|]*)\|$", page, re.MULTILINE)
    return {reason: (means.strip(), do.strip()) for reason, means, do in rows}


@pytest.mark.parametrize("reason", Reason, ids=str)
def test_every_reason_says_what_it_means_and_what_to_do(reason: Reason) -> None:
    means, do = reasons()[reason.value]

    assert means not in SAYS_NOTHING
    assert do not in SAYS_NOTHING
    assert means.endswith((".", ")"))
    assert do.endswith((".", "?", ")"))


def test_the_manifests_of_the_pages_are_valid() -> None:
    blocks = [
        block
        for page in PAGES
        for block in re.findall(
            r"^(?:```yaml\n|cat > \S+ <<'YAML'\n)(.*?)^(?:```|YAML)$", page.read_text(), re.M | re.S
        )
        if "kind: ModelRoute\n" in block
    ]

    assert blocks
    for block in blocks:
        assert parse(ModelRoute, yaml.safe_load(block)).spec.models


@pytest.mark.parametrize("image", IMAGES, ids=name)
def test_pictures_are_small_and_load_nothing(image: Path) -> None:
    content = image.read_bytes()

    assert len(content) < MOST_BYTES
    if image.suffix == ".svg":
        ElementTree.fromstring(content)
        assert b"@font-face" not in content
        assert b"url(http" not in content


def test_who_removes_the_operator_reads_what_holds_a_modelroute_and_how_to_let_it_go() -> None:
    page = (DOCS / "operating.md").read_text(encoding="utf-8")
    removing = page.partition("## Stopping it, and removing it")[2].partition("\n## ")[0]

    assert f"`{FINALIZER}`" in removing
    assert """--type=merge -p '{"metadata": {"finalizers": null}}'""" in removing
