"""The CRD's own CEL rules, run as the API server runs them: one source of rules, so nothing here can drift from it.

cel-python has the language; what Kubernetes adds to it and our rules use (`substring`, `sum`, `isSorted`, escaped
property names) is added here.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Iterator, Mapping
from typing import Any, Final

import celpy
from celpy import celtypes
from celpy.adapter import json_to_cel
from celpy.evaluation import CELEvalError

from modelroute.cli.linting.finding import Finding, error

Node = Mapping[str, Any]
RULES: Final = "x-kubernetes-validations"
_RESERVED: Final = frozenset(
    {
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if"),
        *("import", "let", "loop", "package", "namespace", "return", "var", "void", "while"),
    }
)


def broken_rules(schema: Node, value: Any, path: str = "") -> Iterator[Finding]:
    """Every rule of `schema` that `value`, with its defaults filled in, breaks; rules on changes are left out."""
    rules = schema.get(RULES) or ()
    if rules:
        seen = _as_cel(schema, value)
        for rule in rules:
            if "oldSelf" not in rule["rule"] and (message := _broken(rule, seen)) is not None:
                yield error(path + rule.get("fieldPath", ""), message)
    if isinstance(value, dict):
        for name, each in value.items():
            below = (schema.get("properties") or {}).get(name) or schema.get("additionalProperties")
            if isinstance(below, Mapping):
                yield from broken_rules(below, each, f"{path}.{name}" if path else name)
    if isinstance(value, list):
        for index, each in enumerate(value):
            yield from broken_rules(schema.get("items") or {}, each, f"{path}[{index}]")


def _broken(rule: Node, seen: Any) -> str | None:
    try:
        holds = _program(rule["rule"]).evaluate({"self": seen})
    except CELEvalError as problem:
        # As the API server does: a rule that cannot be evaluated refuses.
        return f"{rule['message']} (the rule could not be evaluated: {problem.args[0]})"
    if holds:
        return None
    return _told(rule, seen)


def _told(rule: Node, seen: Any) -> str:
    if "messageExpression" not in rule:
        return str(rule["message"])
    try:
        return str(_program(rule["messageExpression"]).evaluate({"self": seen}))
    except CELEvalError:
        return str(rule["message"])


@functools.cache
def _program(text: str) -> Any:
    environment = celpy.Environment()
    return environment.program(environment.compile(text), functions=_KUBERNETES)


def _as_cel(schema: Node, value: Any) -> Any:
    """`value` in CEL's types; a property whose name is a word of the language is escaped, a map's key is not."""
    if isinstance(value, dict):
        properties = schema.get("properties") or {}
        others = schema.get("additionalProperties")
        return celtypes.MapType(
            {
                celtypes.StringType(f"__{name}__" if name in properties and name in _RESERVED else name): _as_cel(
                    properties.get(name) or (others if isinstance(others, Mapping) else {}), each
                )
                for name, each in value.items()
            }
        )
    if isinstance(value, list):
        return celtypes.ListType([_as_cel(schema.get("items") or {}, each) for each in value])
    return json_to_cel(value)


def _substring(text: Any, start: Any, end: Any = None) -> Any:
    return celtypes.StringType(str(text)[int(start) : None if end is None else int(end)])


def _sum(values: Any) -> Any:
    return functools.reduce(operator.add, values) if values else celtypes.IntType(0)


def _is_sorted(values: Any) -> Any:
    return celtypes.BoolType(all(one <= other for one, other in itertools.pairwise(values)))


_KUBERNETES: Final[dict[str, Any]] = {"substring": _substring, "sum": _sum, "isSorted": _is_sorted}
