"""Manifests with the lines that their fields stand in."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from modelroute.cli.linting.finding import Finding, error
from modelroute.errors import Invalid

SUFFIXES = frozenset({".yaml", ".yml", ".json"})
TESTDATA = "testdata"
"""Folders of files that are not meant to be applied, many with the same name: passed over below a given folder."""


@dataclass(frozen=True, slots=True)
class Document:
    """One object of a file. `lines` (from 1) by path; `broken` is what kept it, or a part of it, from being read."""

    file: str
    content: Any
    lines: Mapping[str, int] = field(default_factory=dict)
    broken: tuple[Finding, ...] = ()

    def line_of(self, path: str) -> int:
        """The line of the field, else of what it would stand in."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path, 1)


def documents_in(place: str) -> Iterator[Document]:
    """All objects of a file, of a folder and what is below it, or of standard input (`-`). Raises Invalid."""
    if place == "-":
        yield from _read("<stdin>", sys.stdin.read())
        return
    path = Path(place)
    found = sorted(_below(path)) if path.is_dir() else [path]
    found = [each for each in found if not is_testdata(each, path)]
    if not found:
        raise Invalid(f"{place}: there is no .yaml, .yml or .json file in it")
    for each in found:
        try:
            text = each.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            raise Invalid(f"{each} cannot be read: {problem}") from problem
        yield from _read(str(each), text)


def _below(folder: Path) -> Iterator[Path]:
    return (each for each in folder.rglob("*") if each.suffix in SUFFIXES)


def is_testdata(file: Path, place: Path) -> bool:
    """Whether it is below a folder of test data that was not asked for by its name."""
    return file != place and TESTDATA in file.relative_to(place).parts


def testdata_in(place: str) -> int:
    """How many files `documents_in` passes over."""
    path = Path(place)
    return sum(is_testdata(each, path) for each in _below(path)) if path.is_dir() else 0


def _read(file: str, text: str) -> Iterator[Document]:
    try:
        yield from _parsed(file, text)
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        hint = ": is it a template? Render it first" if "{{" in text else ""
        told = " ".join(str(getattr(problem, "problem", None) or problem).split())
        lines = {"": 1 if mark is None else mark.line + 1}
        yield Document(file, None, lines, (error("", f"this is not YAML: {told}{hint}"),))


def _parsed(file: str, text: str) -> Iterator[Document]:
    loader = yaml.SafeLoader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            assert node is not None, "check_node said that there is one"
            lines: dict[str, int] = {}
            twice = tuple(_walk(node, "", lines))
            content = loader.construct_document(node)
            yield from _members(Document(file, content, lines, twice))
    finally:
        loader.dispose()


def _walk(node: yaml.Node, path: str, lines: dict[str, int]) -> Iterator[Finding]:
    """Fill `lines`; keys that stand twice are findings, because YAML silently takes the last."""
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for index, entry in enumerate(node.value):
            yield from _walk(entry, f"{path}[{index}]", lines)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = f"{path}.{key.value}" if path else str(key.value)
            if below in lines:
                told = f"{key.value} stands here twice (first in line {lines[below]}): keep one"
                yield error(below, told, line=key.start_mark.line + 1)
                continue
            lines[below] = key.start_mark.line + 1
            yield from _walk(value, below, lines)


def _members(document: Document) -> Iterator[Document]:
    """The objects of a List, one by one; any other object as it is."""
    content = document.content
    if not isinstance(content, dict) or content.get("kind") != "List":
        if content is not None:
            yield document
        return
    for index, item in enumerate(content.get("items") or ()):
        stem = f"items[{index}]"
        lines = {
            path.removeprefix(stem).removeprefix("."): line
            for path, line in document.lines.items()
            if path == stem or path.startswith((f"{stem}.", f"{stem}["))
        }
        yield Document(document.file, item, lines, document.broken if index == 0 else ())
