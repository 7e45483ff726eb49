"""Both CustomResourceDefinitions, rendered from the types: `python -m modelroute.api.crds [--check] [--into
DIR]`.

pydantic's JSON schema is a superset of what the API server takes: references are put in place, `X or null`
becomes an optional X, and keywords that structural schemas do not know are left away or translated. What is
left is checked by tests against the rules of structural schemas, and by a real API server.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from modelroute.api.resources import GROUP, RESOURCES, VERSION, Column, Resource

HEADER: Final = "# Made by `python -m modelroute.api.crds` from operator/modelroute/api: change the types, not this.\n"

_COPIED: Final = (
    "type",
    "description",
    "format",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "maxProperties",
    "required",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-validations",
)
_TRANSLATED: Final = frozenset(
    {"properties", "items", "additionalProperties", "exclusiveMinimum", "default", "title", "anyOf", "$ref"}
)


CATEGORY: Final = "modelrouting"
"""`kubectl get modelrouting` lists both kinds. Not "modelroute", which is the singular: kubectl would take it for the
category, and `kubectl get modelroute NAME` would be refused.
"""


def render(resource: type[Resource]) -> dict[str, Any]:
    """The CustomResourceDefinition of one resource, as the API server takes it."""
    singular = resource.KIND.lower()
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": resource.KIND,
                "listKind": f"{resource.KIND}List",
                "plural": resource.PLURAL,
                "singular": singular,
                "shortNames": [resource.SHORT],
                "categories": [CATEGORY],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(column) for column in resource.COLUMNS],
                    "schema": {"openAPIV3Schema": schema(resource)},
                }
            ],
        },
    }


def schema(resource: type[Resource]) -> dict[str, Any]:
    """The structural OpenAPI v3 schema of one resource."""
    whole = resource.model_json_schema(by_alias=True)
    definitions = whole.pop("$defs")
    root = _structural({**whole, "properties": {}, "required": ["spec"]}, definitions)
    root["properties"] = {
        "apiVersion": {"type": "string", "description": f"{GROUP}/{VERSION}."},
        "kind": {"type": "string", "description": f"{resource.KIND}."},
        "metadata": {"type": "object"},
        "spec": _structural(whole["properties"]["spec"], definitions),
        "status": _without_rules(_structural(whole["properties"]["status"], definitions)),
    }
    return root


def file_name(resource: type[Resource]) -> str:
    """The name of its file below crds/."""
    return f"{GROUP}_{resource.PLURAL}.yaml"


def to_yaml(resource: type[Resource]) -> str:
    """The file, byte for byte the same on every machine."""
    body = yaml.dump(render(resource), Dumper=_Plain, sort_keys=False, width=110, allow_unicode=True)
    return HEADER + body


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or with --check say which of them differ."""
    parser = argparse.ArgumentParser(prog="python -m modelroute.api.crds", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file differs")
    parser.add_argument("--into", type=Path, default=Path("crds"), help="folder of the files (default: crds)")
    options = parser.parse_args(arguments)
    wanted = {options.into / file_name(resource): to_yaml(resource) for resource in RESOURCES}
    if options.check:
        return _check(wanted)
    options.into.mkdir(parents=True, exist_ok=True)
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")
    return 0


def _check(wanted: Mapping[Path, str]) -> int:
    differing = [str(path) for path, text in wanted.items() if _read(path) != text]
    if not differing:
        return 0
    verb = "differs" if len(differing) == 1 else "differ"
    print(
        f"{' and '.join(differing)} {verb} from the types in operator/modelroute/api: "
        "run `python -m modelroute.api.crds` and commit the result.",
        file=sys.stderr,
    )
    return 1


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _column(column: Column) -> dict[str, Any]:
    rendered: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.path}
    if column.wide:
        rendered["priority"] = 1
    return rendered


def _structural(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """One node of the schema with everything below it in place."""
    node = _resolved(node, definitions)
    foreign = node.keys() - _TRANSLATED - set(_COPIED)
    if foreign:
        raise ValueError(f"no structural form is known for {', '.join(sorted(foreign))}")
    rendered: dict[str, Any] = {keyword: node[keyword] for keyword in _COPIED if keyword in node}
    if "exclusiveMinimum" in node:
        rendered |= {"minimum": node["exclusiveMinimum"], "exclusiveMinimum": True}
    if node.get("default") is not None:
        rendered["default"] = node["default"]
    if "items" in node:
        rendered["items"] = _structural(node["items"], definitions)
    if isinstance(values := node.get("additionalProperties"), Mapping):
        rendered["additionalProperties"] = _structural(values, definitions)
    if "properties" in node:
        rendered["properties"] = {name: _structural(below, definitions) for name, below in node["properties"].items()}
    return rendered


def _without_rules(node: dict[str, Any]) -> dict[str, Any]:
    """A status repeats parts of the spec; it must not be refused for them, so it keeps none of their
    rules.
    """
    bare = {keyword: value for keyword, value in node.items() if keyword != "x-kubernetes-validations"}
    for keyword in ("items", "additionalProperties"):
        if keyword in bare:
            bare[keyword] = _without_rules(bare[keyword])
    if "properties" in bare:
        bare["properties"] = {name: _without_rules(below) for name, below in bare["properties"].items()}
    return bare


def _resolved(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """`node` without `$ref` and `anyOf`; what stands beside them (description, default) wins."""
    if "$ref" in node:
        target = definitions[node["$ref"].rpartition("/")[2]]
        return _resolved(target, definitions) | {key: node[key] for key in node if key != "$ref"}
    if "anyOf" in node:
        (only,) = (branch for branch in node["anyOf"] if branch != {"type": "null"})
        return _resolved(only, definitions) | {key: node[key] for key in node if key != "anyOf"}
    return dict(node)


class _Plain(yaml.SafeDumper):
    """Every value written out where it stands, without anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


if __name__ == "__main__":
    sys.exit(main())
