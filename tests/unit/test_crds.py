"""The rendered CRDs: structural, closed, bounded, explained; and the same in Git as in the types."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from modelroute.api import crds
from modelroute.api.parse import parse
from modelroute.api.resources import RESOURCES, ModelRollout, ModelRoute, Resource

ROOT = Path(__file__).parents[2]
Schema = dict[str, Any]

# Written to the HTTPRoute as they stand; its own schema checks them.
OPEN = {"spec.matches[]", "spec.filters[]", "spec.timeouts"}


def nodes(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every node of a schema with its path, `spec.models[].name`."""
    yield path, schema
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")
    for name, below in schema.get("properties", {}).items():
        yield from nodes(below, f"{path}.{name}" if path else name)


def everything() -> list[Any]:
    return [
        pytest.param(path, node, id=f"{resource.KIND}:{path or 'root'}")
        for resource in RESOURCES
        for path, node in nodes(crds.schema(resource))
    ]


@pytest.mark.parametrize(("path", "node"), everything())
def test_every_node_is_structural_and_bounded(path: str, node: Schema) -> None:
    assert node["type"] in {"object", "array", "string", "integer", "number", "boolean"}
    match node["type"]:
        case "object":
            closed = "properties" in node
            mapping = "additionalProperties" in node and "maxProperties" in node
            is_open = node.get("x-kubernetes-preserve-unknown-fields", False)
            assert [closed, mapping, is_open].count(True) == 1 or path == "metadata"
            assert not is_open or path in OPEN
        case "array":
            assert "items" in node
            assert "maxItems" in node
            assert node["x-kubernetes-list-type"] in {"atomic", "map", "set"}
        case "string":
            assert "enum" in node or "maxLength" in node or path in {"apiVersion", "kind"}
    assert not {"$ref", "anyOf", "oneOf", "allOf", "nullable", "title", "const"} & node.keys()


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.KIND)
def test_every_field_is_explained_in_a_sentence(resource: type[Resource]) -> None:
    unexplained = [
        f"{path}.{name}"
        for path, node in nodes(crds.schema(resource))
        for name, field in node.get("properties", {}).items()
        if not field.get("description", "").endswith(".") and (path, name) != ("", "metadata")
    ]

    assert unexplained == []


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.KIND)
def test_every_rule_says_what_to_do(resource: type[Resource]) -> None:
    rules = [rule for _, node in nodes(crds.schema(resource)) for rule in node.get("x-kubernetes-validations", ())]

    assert rules
    assert [rule for rule in rules if len(rule["message"]) < 30 or "\n" in rule["message"]] == []
    assert [rule for rule in rules if not rule["rule"].strip()] == []


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.KIND)
def test_no_rule_stands_in_the_way_of_a_status(resource: type[Resource]) -> None:
    status = crds.schema(resource)["properties"]["status"]

    ruled = [path for path, node in nodes(status) if "x-kubernetes-validations" in node]
    assert ruled == []


def test_a_spec_of_a_user_has_no_floats() -> None:
    spec = crds.schema(ModelRoute)["properties"]["spec"]

    assert [path for path, node in nodes(spec) if node["type"] == "number"] == []


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.KIND)
def test_every_column_shows_a_field_that_there_is(resource: type[Resource]) -> None:
    known = {f".{path}" for path, _ in nodes(crds.schema(resource))} | {".metadata.creationTimestamp"}

    assert {re.sub(r"\[\?\(.*\)\]", "[]", column.path) for column in resource.COLUMNS} <= known


@pytest.mark.parametrize("part", ["spec", "status"])
@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.KIND)
def test_every_field_of_the_types_is_in_the_schema(resource: type[Resource], part: str) -> None:
    model = resource.model_fields[part].annotation
    assert model is not None

    fields = {field.alias for field in model.model_fields.values()}
    assert fields == set(crds.schema(resource)["properties"][part]["properties"])


def defaulted(schema: Schema, value: Any) -> Any:
    """What the API server stores: defaults filled in from the top down, as it does."""
    if isinstance(value, dict):
        filled = dict(value)
        for name, below in schema.get("properties", {}).items():
            if name not in filled and "default" in below:
                filled[name] = copy.deepcopy(below["default"])
        return {name: defaulted(schema.get("properties", {}).get(name, {}), below) for name, below in filled.items()}
    if isinstance(value, list):
        return [defaulted(schema.get("items", {}), entry) for entry in value]
    return value


@pytest.mark.parametrize("name", ["minimal", "modelroute"])
def test_the_types_and_the_schema_fill_in_the_same_defaults(name: str) -> None:
    manifest = yaml.safe_load((ROOT / f"examples/{name}.yaml").read_text(encoding="utf-8"))

    stored = defaulted(crds.schema(ModelRoute)["properties"]["spec"], manifest["spec"])

    assert parse(ModelRoute, manifest).spec.to_wire() == stored


def test_the_status_is_a_subresource_and_the_names_are_as_documented() -> None:
    route, rollout = (crds.render(resource)["spec"] for resource in (ModelRoute, ModelRollout))

    assert route["versions"][0]["subresources"] == {"status": {}}
    assert rollout["versions"][0]["subresources"] == {"status": {}}
    assert (route["names"]["shortNames"], rollout["names"]["shortNames"]) == (["mroute"], ["mrollout"])
    assert route["names"]["categories"] == rollout["names"]["categories"] == ["modelrouting"]
    assert route["scope"] == rollout["scope"] == "Namespaced"


def test_the_files_in_git_are_the_ones_that_the_types_make(capsys: pytest.CaptureFixture[str]) -> None:
    code = crds.main(["--check", "--into", str(ROOT / "crds")])

    assert (code, capsys.readouterr().err) == (0, "")


def test_rendering_twice_gives_the_same_bytes() -> None:
    assert [crds.to_yaml(resource) for resource in RESOURCES] == [crds.to_yaml(resource) for resource in RESOURCES]


def test_a_file_that_differs_is_named_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert crds.main(["--into", str(tmp_path)]) == 0
    assert crds.main(["--check", "--into", str(tmp_path)]) == 0
    (tmp_path / crds.file_name(ModelRoute)).write_text("changed by hand", encoding="utf-8")

    assert crds.main(["--check", "--into", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "modelroute.dev_modelroutes.yaml differs from the types" in said
    assert "run `python -m modelroute.api.crds`" in said


def test_a_keyword_that_has_no_structural_form_is_not_passed_over() -> None:
    with pytest.raises(ValueError, match="multipleOf"):
        crds._structural({"type": "integer", "multipleOf": 5}, {})
