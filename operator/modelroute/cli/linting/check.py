"""From documents to findings: which objects are ours, what is wrong with each, and what with all of them together."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from modelroute.api.crds import schema
from modelroute.api.parse import parse
from modelroute.api.resources import API_VERSION, GROUP, ModelRollout, ModelRoute
from modelroute.api.spec import ModelRouteSpec
from modelroute.cli.linting.beyond import beyond_the_schema
from modelroute.cli.linting.cel import broken_rules
from modelroute.cli.linting.finding import Finding, error, warning
from modelroute.cli.linting.schema import defaulted, problems
from modelroute.cli.linting.source import Document
from modelroute.errors import Invalid

COMPARED: Final = frozenset({f"{GROUP}/compare/v1", f"{GROUP}/suite/v1"})
"""What `modelroute compare` reads and checks: no objects of a cluster."""

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


@dataclass(frozen=True, slots=True)
class Report:
    """`about` is namespace/name; `file` and `line` say where."""

    file: str
    line: int
    about: str
    finding: Finding


@functools.cache
def _schema() -> Mapping[str, Any]:
    return schema(ModelRoute)


def check_all(documents: Iterable[Document]) -> tuple[list[Report], int]:
    """All findings in the order of the files, and how many ModelRoutes there were."""
    reports: list[Report] = []
    routes: dict[str, Document] = {}
    hosts: dict[tuple[str, str], str] = {}
    for document in documents:
        about = _about(document.content)
        ours = document.content is None or _kind(document.content) is not None
        found = [*(document.broken if ours else ()), *_check(document.content)]
        if _kind(document.content) == ModelRoute.KIND:
            found += _among(document, about, routes)
            found += _same_host(document.content, about, hosts)
        reports += [Report(document.file, each.line or document.line_of(each.path), about, each) for each in found]
    return reports, len(routes)


def is_compared(content: Any) -> bool:
    """Whether it is a file of `modelroute compare`, which is passed over here."""
    return isinstance(content, Mapping) and content.get("apiVersion") in COMPARED


def check_route(content: Mapping[str, Any]) -> list[Finding]:
    """What is wrong with one ModelRoute: first the schema, rules on what it takes, the rest on what they take."""
    named = list(_metadata(content))
    told = {key: value for key, value in content.items() if key != "status"}
    found = list(problems(_schema(), told))
    if found:
        return named + found
    whole = defaulted(_schema(), told)
    found = list(broken_rules(_schema(), whole))
    if found:
        return named + found
    try:
        spec = parse(ModelRouteSpec, whole["spec"], at="spec")
        return named + list(beyond_the_schema(spec, str(content["metadata"].get("namespace") or "default")))
    except Invalid as problem:
        return [*named, error(problem.field, str(problem))]


def _check(content: Any) -> list[Finding]:
    kind = _kind(content)
    if kind is None:
        return []
    version = content.get("apiVersion")
    if version != API_VERSION:
        what = f"{version} is not known: use" if version else f"is missing: a {kind} has"
        return [error("apiVersion", f"{what} {API_VERSION}")]
    if kind == ModelRollout.KIND:
        return [warning("kind", "a ModelRollout is written by the operator alone: do not keep it in files")]
    if kind != ModelRoute.KIND:
        return [error("kind", f"{kind} is no kind of {GROUP}: there are {ModelRoute.KIND} and {ModelRollout.KIND}")]
    return check_route(content)


def _kind(content: Any) -> str | None:
    """The kind of an object that is ours; None for all others, which are none of our business."""
    if not isinstance(content, Mapping) or is_compared(content):
        return None
    kind = str(content.get("kind", ""))
    # By its kind as well: who forgot or mistyped the apiVersion did not mean somebody else's.
    ours = str(content.get("apiVersion") or "").startswith(f"{GROUP}/") or kind in {ModelRoute.KIND, ModelRollout.KIND}
    return kind if ours else None


def _about(content: Any) -> str:
    metadata = content.get("metadata") if isinstance(content, Mapping) else None
    if not isinstance(metadata, Mapping):
        return ""
    return "/".join(str(metadata[key]) for key in ("namespace", "name") if metadata.get(key))


def _metadata(content: Mapping[str, Any]) -> Iterator[Finding]:
    metadata = content.get("metadata")
    if not isinstance(metadata, Mapping) or not metadata.get("name"):
        yield error("metadata.name", "is missing")
        return
    name = metadata["name"]
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        yield error("metadata.name", f"{name!r} must be of lower-case letters, digits, dashes and dots")


def _among(document: Document, about: str, routes: dict[str, Document]) -> Iterator[Finding]:
    """Two objects of one name: the one that is applied last wins. In two files they may be variants of each other."""
    if about in routes:
        first = routes[about]
        told = f"the same ModelRoute stands in {first.file}:{first.line_of('metadata.name')}"
        if first.file == document.file:
            yield error("metadata.name", told)
        else:
            yield warning("metadata.name", f"{told}: applied together, the last one wins")
    routes.setdefault(about, document)


def _same_host(content: Mapping[str, Any], about: str, hosts: dict[tuple[str, str], str]) -> Iterator[Finding]:
    """Two routes that take all requests of one host at one gateway: only one of them gets any."""
    spec = content.get("spec")
    if not isinstance(spec, Mapping) or spec.get("matches") or not isinstance(spec.get("hostnames"), list):
        return
    namespace = about.rpartition("/")[0]
    for parent in spec.get("parentRefs") or ():
        if not isinstance(parent, Mapping):
            continue
        gateway = f"{parent.get('namespace') or namespace}/{parent.get('name')}/{parent.get('sectionName') or ''}"
        for index, host in enumerate(spec["hostnames"]):
            other = hosts.setdefault((gateway, str(host)), about)
            if other != about:
                yield warning(
                    f"spec.hostnames[{index}]",
                    f"{other} takes all requests of {host} at the same gateway: give each its own matches",
                )
