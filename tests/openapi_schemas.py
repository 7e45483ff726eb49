"""JSON schemas for kubeconform, made from what an API server says of itself (/openapi/v3), CRDs included."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from devstack.http import Api

Json = dict[str, Any]

LOCATION: Final = "{{ .ResourceKind }}{{ .KindSuffix }}.json"
"""How kubeconform finds a schema in the folder: -schema-location FOLDER/LOCATION."""
_REFERENCE: Final = "#/components/schemas/"


def write(api: Api, folder: Path) -> int:
    """One file for each kind that the API server serves, strict: no field that it does not know. The number of them."""
    written = 0
    for path in sorted(api.get("/openapi/v3")["paths"]):
        if path.startswith(("api/v", "apis/")) and path.count("/") in (1, 2):
            for name, schema in _kinds(api.get(f"/openapi/v3/{path}")):
                (folder / name).write_text(json.dumps(schema))
                written += 1
    return written


def _kinds(document: Json) -> Iterator[tuple[str, Json]]:
    """File name and schema of every kind in one group's document."""
    schemas = document.get("components", {}).get("schemas", {})
    definitions = {name: _strict(schema) for name, schema in schemas.items()}
    for name, schema in schemas.items():
        kinds = schema.get("x-kubernetes-group-version-kind", [])
        # Options of calls are in every group; a kind of its own is in one.
        if len(kinds) == 1 and "metadata" in schema.get("properties", {}):
            yield _file_name(kinds[0]), {"$ref": f"#/definitions/{name}", "definitions": definitions}


def _file_name(kind: Mapping[str, str]) -> str:
    group = kind["group"].partition(".")[0]
    return "-".join(part for part in (kind["kind"], group, kind["version"]) if part).lower() + ".json"


def _strict(node: Any) -> Any:
    """The schema with references that stay within the file, and objects closed that do not say they are open."""
    if isinstance(node, list):
        return [_strict(each) for each in node]
    if not isinstance(node, dict):
        return node
    made: Json = {}
    for key, value in node.items():
        if key == "properties":
            # Names of fields, which may be those of keywords.
            made[key] = {name: _strict(each) for name, each in value.items()}
        elif key == "$ref":
            made[key] = value.replace(_REFERENCE, "#/definitions/")
        else:
            made[key] = _strict(value)
    is_open = node.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in node
    if "properties" in node and not is_open:
        made["additionalProperties"] = False
    return made
