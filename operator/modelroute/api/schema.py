"""How a pydantic type says what the API server should check: annotations that end up in the CRD's schema.

pydantic checks types, lengths, ranges and enums when the operator reads an object. Everything that relates
fields to one another, or that wants a sentence of its own for the user, is a CEL rule: the API server runs
it, before anything is stored, and the user reads it in the terminal where the manifest was applied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, JsonValue
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema


class Wire(BaseModel):
    """What goes over the wire: camelCase outside, snake_case inside, values that nobody changes in place.

    Unknown fields are let pass: the API server has pruned or refused them already, and an object written by a
    newer version of the operator must stay readable. `modelroute.api.parse` can be strict where a person
    wants to know.
    """

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore", allow_inf_nan=False
    )

    def to_wire(self) -> dict[str, Any]:
        """As JSON has it, camelCase, without the fields that are not set."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


@dataclass(frozen=True, slots=True)
class Cel:
    """One rule of the API server. `message` says what is wrong and what to write instead.

    `field_path` points from the annotated place to the field to blame (`.steps`). `message_expression` may
    name the offending value; `message` is then what is shown if it cannot be evaluated.
    """

    rule: str
    message: str
    field_path: str = ""
    message_expression: str = ""

    def to_schema(self) -> dict[str, str]:
        """In the spelling of the CRD."""
        entry = {"rule": self.rule, "message": self.message}
        if self.message_expression:
            entry["messageExpression"] = self.message_expression
        if self.field_path:
            entry["fieldPath"] = self.field_path
        return entry

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        rendered = handler(schema)
        rendered["x-kubernetes-validations"] = [
            *rendered.get("x-kubernetes-validations", []),
            self.to_schema(),
        ]
        return rendered


@dataclass(frozen=True, slots=True)
class Extra:
    """Schema keywords that pydantic does not know, such as `x-kubernetes-list-type`.

    Tuples for lists: an annotation must be hashable to be one side of `… | None`.
    """

    keywords: tuple[tuple[str, str | bool | tuple[str, ...]], ...]

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        rendered = handler(schema)
        for keyword, value in self.keywords:
            rendered[keyword] = list(value) if isinstance(value, tuple) else value
        return rendered


@dataclass(frozen=True, slots=True)
class Keep:
    """A list of a status, of at most so many entries: more are let go, because a status write must never fail
    for it.
    """

    first: int = 0
    last: int = 0

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._cut, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "maxItems": self.first or self.last, "x-kubernetes-list-type": "atomic"}

    def _cut(self, entries: Any) -> Any:
        if not isinstance(entries, list | tuple):
            return entries
        return list(entries[: self.first] if self.first else entries[-self.last :])


def list_map(*keys: str) -> Extra:
    """A list whose entries are told apart by `keys`: duplicates are refused, server-side apply merges by
    them.
    """
    return Extra((("x-kubernetes-list-type", "map"), ("x-kubernetes-list-map-keys", keys)))


LIST_SET = Extra((("x-kubernetes-list-type", "set"),))
"""A list of scalars without duplicates."""

LIST_ATOMIC = Extra((("x-kubernetes-list-type", "atomic"),))
"""A list that is replaced as a whole."""

OPEN_OBJECT = Extra((("x-kubernetes-preserve-unknown-fields", True),))
"""An object whose fields somebody else's schema checks."""


def rules(*of: Cel) -> ConfigDict:
    """The rules of a whole object: `model_config = rules(Cel(…), …)`."""
    entries: list[JsonValue] = [dict(rule.to_schema()) for rule in of]
    return ConfigDict(json_schema_extra={"x-kubernetes-validations": entries})


def default(value: Any) -> dict[str, Any]:
    """The default as the schema shows it, where the Python default is made by a factory."""
    return {"default": value}
