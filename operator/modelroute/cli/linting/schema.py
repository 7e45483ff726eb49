"""The structural schema of a CRD on an object: what is wrong with it, and what it looks like with its defaults."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

from modelroute.cli.linting.finding import Finding, error

Node = Mapping[str, Any]


def defaulted(schema: Node, value: Any) -> Any:
    """`value` as the API server stores it: with the defaults of `schema` filled in, from the outside in."""
    if isinstance(value, dict):
        properties = schema.get("properties") or {}
        # A null where none is allowed is dropped first, as the API server does.
        filled = {name: each for name, each in value.items() if each is not None or name not in properties}
        for name, below in properties.items():
            if name not in filled and "default" in below:
                filled[name] = copy.deepcopy(below["default"])
        return {name: defaulted(_below(schema, name), each) for name, each in filled.items()}
    if isinstance(value, list):
        return [defaulted(schema.get("items") or {}, each) for each in value]
    return value


def problems(schema: Node, value: Any, path: str = "") -> Iterator[Finding]:
    """Everything that the schema refuses, and fields that it does not know, as `kubectl apply` reports them."""
    if "type" in schema and not _is(schema["type"], value):
        yield error(path, f"must be of type {schema['type']}, but is {_named(value)}{_hint(schema['type'], value)}")
        return
    if "enum" in schema and value not in schema["enum"]:
        yield error(path, f"{value!r} is not one of {', '.join(map(str, schema['enum']))}")
    yield from _bounds(schema, value, path)
    if isinstance(value, dict):
        yield from _object(schema, value, path)
    if isinstance(value, list):
        yield from _list(schema, value, path)


def _below(schema: Node, name: str) -> Node:
    found: Node = (schema.get("properties") or {}).get(name) or schema.get("additionalProperties") or {}
    return found


def _object(schema: Node, value: dict[str, Any], path: str) -> Iterator[Finding]:
    for name in schema.get("required") or ():
        if value.get(name) is None:
            yield error(_join(path, name), "is missing")
    open_ended = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    closed = "properties" in schema and not open_ended
    for name, each in value.items():
        below = _below(schema, name)
        if closed and name not in schema["properties"]:
            yield error(_join(path, name), f"no such field; there are {', '.join(schema['properties'])}")
        elif each is not None or name not in (schema.get("properties") or {}):
            yield from problems(below, each, _join(path, name))


def _list(schema: Node, value: list[Any], path: str) -> Iterator[Finding]:
    kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys") or ()
    seen: dict[str, int] = {}
    for index, each in enumerate(value):
        yield from problems(schema.get("items") or {}, each, f"{path}[{index}]")
        known = repr(each) if kind == "set" else repr([each.get(key) for key in keys]) if _is("object", each) else ""
        if kind in {"set", "map"} and known:
            if known in seen:
                named = each if kind == "set" else ", ".join(f"{key}: {each.get(key)}" for key in keys)
                yield error(f"{path}[{index}]", f"{named} is there twice, first as {path}[{seen[known]}]")
            seen.setdefault(known, index)


def _bounds(schema: Node, value: Any, path: str) -> Iterator[Finding]:
    if isinstance(value, str | list | dict):
        noun, least, most = _SIZES[type(value)]
        what = f"{len(value)} {noun}"
        if least in schema and len(value) < schema[least]:
            yield error(path, f"has {what}, fewer than the least, {schema[least]}")
        if most in schema and len(value) > schema[most]:
            yield error(path, f"has {what}, more than the most, {schema[most]}")
    if isinstance(value, str) and "pattern" in schema and re.search(schema["pattern"], value) is None:
        yield error(path, f"{value!r} does not match {schema['pattern']}")
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high = schema.get("minimum"), schema.get("maximum")
        if low is not None and (value <= low if schema.get("exclusiveMinimum") else value < low):
            than = "above" if schema.get("exclusiveMinimum") else "at least"
            yield error(path, f"must be {than} {low:g}, but is {value}")
        if high is not None and value > high:
            yield error(path, f"must be at most {high}, but is {value}")


_SIZES = {
    str: ("characters", "minLength", "maxLength"),
    list: ("entries", "minItems", "maxItems"),
    dict: ("fields", "minProperties", "maxProperties"),
}


def _is(kind: str, value: Any) -> bool:
    match kind:
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "array":
            return isinstance(value, list)
        case _:
            return isinstance(value, dict)


def _named(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return "null" if value is None else f"{names.get(type(value), type(value).__name__)} ({value!r})"[:80]


def _hint(kind: str, value: Any) -> str:
    if kind == "string" and isinstance(value, int | float) and not isinstance(value, bool):
        return f': put it in quotes, "{value}"'
    return ""


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
