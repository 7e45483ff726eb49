"""comparison.yaml, read once: every mistake is one sentence with the path of its field."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import yaml
from pydantic import ValidationError

from modelroute.api.fields import LABEL_NAME
from modelroute.compare.convert import to_comparison
from modelroute.compare.domain import Comparison
from modelroute.compare.fields import ComparisonFields, Named
from modelroute.errors import Invalid

API_VERSION: Final = "modelroute.dev/compare/v1"


def read_comparison(path: Path) -> Comparison:
    """The comparison in that file; suites' paths are taken from the file's folder. Raises Invalid, led by the file's
    name.
    """
    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        first = " ".join(str(error).split())
        raise Invalid(f"{path} cannot be read: {first}") from error
    try:
        return parse_comparison(told, folder=path.parent)
    except Invalid as error:
        raise Invalid(f"{path}: {error}") from error


def parse_comparison(told: object, *, folder: Path) -> Comparison:
    """What YAML gave, as a Comparison. Raises Invalid."""
    if not isinstance(told, dict):
        raise Invalid(f"the file is not a mapping of fields: start it with apiVersion: {API_VERSION}")
    try:
        fields = ComparisonFields.model_validate(told)
    except ValidationError as errors:
        raise _first(errors) from errors
    _check_names("models", fields.models)
    _check_names("suites", fields.suites)
    return to_comparison(fields, folder=folder)


def _check_names(kind: str, entries: Sequence[Named]) -> None:
    # Names of models and suites become names of folders and files.
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        field = f"{kind}[{index}].name"
        if not re.fullmatch(LABEL_NAME, entry.name):
            raise Invalid(f"{entry.name!r} must be lower-case letters, digits and dashes", field=field)
        if entry.name in seen:
            raise Invalid(f"{entry.name!r} is there twice: give each a name of its own", field=field)
        seen.add(entry.name)


def _first(errors: ValidationError) -> Invalid:
    first = errors.errors(include_url=False)[0]
    field = ""
    for part in first["loc"]:
        field += f"[{part}]" if isinstance(part, int) else f".{part}" if field else part
    match first["type"]:
        case "missing":
            return Invalid("is missing", field=field)
        case "extra_forbidden":
            return Invalid("no such field", field=field)
        case "string_type":
            return Invalid(f'{first["input"]!r} must be a text: put it in quotes, for example "3.00"', field=field)
        case "literal_error" if field == "apiVersion":
            said = f"{first['input']!r} is not a version that this modelroute reads: write {API_VERSION}"
            return Invalid(said, field=field)
        case "too_short":
            least = first["ctx"]["min_length"]
            return Invalid(f"needs at least {least} {'entry' if least == 1 else 'entries'}", field=field)
        case _:
            return Invalid(first["msg"][:1].lower() + first["msg"][1:], field=field)
