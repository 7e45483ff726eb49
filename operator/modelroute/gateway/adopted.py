"""A rule of the user's own HTTPRoute: what it says, and a patch of nothing but its weights. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from modelroute.gateway.observe import acceptance_of, as_split, parents_of
from modelroute.gateway.render import Json, Template, backend_of
from modelroute.rollout.observation import Acceptance, Gateway, Problem
from modelroute.rollout.reasons import Reason
from modelroute.rollout.split import Backend, Split

ANNOTATION_ADOPT: Final = "modelroute.dev/adopt"
_IDENTITY: Final = ("group", "kind", "namespace", "name", "port")


@dataclass(frozen=True, slots=True)
class Adoption:
    """The rule named `rule` of the HTTPRoute `route`, whose weights the ModelRoute `by` sets; all in `namespace`."""

    namespace: str
    route: str
    rule: str
    by: str


@dataclass(frozen=True, slots=True)
class Adopted:
    """What was found: the gateway's side, what stands in the way, and else the split that it carries."""

    gateway: Gateway
    problems: tuple[Problem, ...] = ()
    carried: Split | None = None


def template_of(adoption: Adoption, live: Json | None) -> Template:
    """The parents of the route and its name, for reading what they report and what they count."""
    spec = (live or {}).get("spec") or {}
    return Template(adoption.namespace, adoption.route, "", tuple(spec.get("parentRefs") or ()))


def observe(
    live: Json | None, adoption: Adoption, *, needed: Mapping[Backend, str], known: Iterable[Backend]
) -> Adopted:
    """The rule as it was read. `needed`: the backends that it has to list, with the names of their arms; `known`: those
    that it may give traffic to.
    """
    if live is None:
        message = f"spec.routeRef.name: HTTPRoute {adoption.route} does not exist in namespace {adoption.namespace}"
        return _not_adoptable(message)
    if _adopter(live) != adoption.by:
        message = (
            f"HTTPRoute {adoption.route} does not have the annotation {ANNOTATION_ADOPT}: {adoption.by}, with which its"
            " owner lets this ModelRoute change weights; nothing of it is written"
        )
        return _not_adoptable(message)
    index = _index(live, adoption)
    if index is None:
        message = f"spec.routeRef.rule: HTTPRoute {adoption.route} has no rule named {adoption.rule}"
        return _not_adoptable(message)
    refs = _refs(live, index)
    backends = [backend_of(ref, adoption.namespace) for ref in refs]
    weights = {backend: int(ref.get("weight", 1)) for backend, ref in zip(backends, refs, strict=True)}
    template = template_of(adoption, live)
    acceptance, message = acceptance_of(live, template)
    gateway = Gateway(acceptance, message, weights=weights, rule=index, parents=parents_of(template))
    found = _problems(adoption, backends, weights, needed, {*needed, *known})
    return Adopted(gateway, tuple(found), None if found else as_split(weights))


def patch_of(live: Json, adoption: Adoption, weights: Mapping[Backend, int], *, fenced: bool) -> list[Json]:
    """The JSON Patch (RFC 6902) that gives the rule `weights`, empty where it has them.

    Every operation is guarded by `test`s, so that it fails rather than hits another rule or backend than was read;
    `fenced` tests the old weights too. Backends of the rule that are not in `weights` are left alone.
    """
    index = _index(live, adoption)
    if index is None:
        return []
    at = f"/spec/rules/{index}"
    tests: list[Json] = [{"op": "test", "path": f"{at}/name", "value": adoption.rule}]
    changes: list[Json] = []
    for place, ref in enumerate(_refs(live, index)):
        wanted = weights.get(backend_of(ref, adoption.namespace))
        if wanted is None:
            continue
        known = {key: ref[key] for key in _IDENTITY if key in ref}
        path = f"{at}/backendRefs/{place}"
        tests += [{"op": "test", "path": f"{path}/{key}", "value": value} for key, value in known.items()]
        if ref.get("weight") != wanted:
            if fenced and "weight" in ref:
                tests.append({"op": "test", "path": f"{path}/weight", "value": ref["weight"]})
            changes.append({"op": "add", "path": f"{path}/weight", "value": wanted})
    return [*tests, *changes] if changes else []


def missing_in(live: Json, adoption: Adoption, backends: Iterable[Backend]) -> list[Backend]:
    """Those of `backends` that the rule does not list."""
    index = _index(live, adoption)
    listed = {backend_of(ref, adoption.namespace) for ref in _refs(live, index)} if index is not None else set()
    return [backend for backend in backends if backend not in listed]


def is_adopted(live: Json, adoption: Adoption) -> bool:
    """Whether its owner lets the ModelRoute write it."""
    return _adopter(live) == adoption.by


def _adopter(live: Json) -> str:
    return str((live["metadata"].get("annotations") or {}).get(ANNOTATION_ADOPT, ""))


def _index(live: Json, adoption: Adoption) -> int | None:
    rules = (live.get("spec") or {}).get("rules") or []
    return next((index for index, rule in enumerate(rules) if rule.get("name") == adoption.rule), None)


def _refs(live: Json, index: int) -> list[dict[str, Any]]:
    refs: list[dict[str, Any]] = live["spec"]["rules"][index].get("backendRefs") or []
    return refs


def _problems(
    adoption: Adoption,
    backends: list[Backend],
    weights: Mapping[Backend, int],
    needed: Mapping[Backend, str],
    known: set[Backend],
) -> list[Problem]:
    rule = f"rule {adoption.rule} of HTTPRoute {adoption.route}"
    found = [
        f"{rule} sends traffic to {named(backend)}, which is no model's backend: remove it there, or name it in"
        " spec.models"
        for backend, weight in weights.items()
        if backend not in known and weight
    ]
    if len(weights) != len(backends):
        found.append(f"{rule} lists a backend twice, so its requests cannot be told apart")
    return [
        *unlisted(adoption, weights, needed),
        *(Problem(Reason.ROUTE_NOT_ADOPTABLE, message) for message in found),
    ]


def unlisted(adoption: Adoption, listed: Iterable[Backend], needed: Mapping[Backend, str]) -> list[Problem]:
    """A problem for each backend of `needed`, which has the names of their arms, that the rule does not list."""
    rule, there = f"rule {adoption.rule} of HTTPRoute {adoption.route}", set(listed)
    return [
        Problem(
            Reason.ROUTE_NOT_ADOPTABLE,
            f"{rule} does not list the backend of {name}, {named(backend)}: add it there with weight 0",
        )
        for backend, name in needed.items()
        if backend not in there
    ]


def named(backend: Backend) -> str:
    return f"Service {backend.namespace}/{backend.name}:{backend.port}"


def _not_adoptable(message: str) -> Adopted:
    return Adopted(Gateway(Acceptance.ABSENT, message), (Problem(Reason.ROUTE_NOT_ADOPTABLE, message),))
