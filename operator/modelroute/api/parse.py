"""From the API server's JSON to types, with errors that name the field as kubectl would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from modelroute.api.schema import Wire
from modelroute.errors import Invalid

W = TypeVar("W", bound=Wire)


def parse(of: type[W], data: Mapping[str, Any], *, at: str = "", strict: bool = False) -> W:
    """`data` as an `of`; Invalid names the first field that is wrong, as a path from `at`.

    `strict` refuses fields that `of` does not have, as `kubectl apply` does; the operator itself is lenient,
    because what it reads the API server has already checked, perhaps against a newer schema.
    """
    try:
        parsed = of.model_validate(data)
    except ValidationError as errors:
        first = errors.errors(include_url=False, include_input=False)[0]
        raise Invalid(first["msg"], field=_path(at, first["loc"])) from errors
    if strict:
        for field in unknown_fields(of, data, at=at):
            raise Invalid("no such field", field=field)
    return parsed


def unknown_fields(of: type[BaseModel], data: Mapping[str, Any], *, at: str = "") -> Iterator[str]:
    """Paths of the fields of `data` that `of` does not have."""
    known = {field.alias or name: field.annotation for name, field in of.model_fields.items()}
    for key, value in data.items():
        path = f"{at}.{key}" if at else key
        if key not in known:
            yield path
            continue
        yield from _unknown_below(known[key], value, path)


def _unknown_below(annotation: Any, value: Any, path: str) -> Iterator[str]:
    inner = _model_in(annotation)
    if inner is None:
        return
    if isinstance(value, Mapping):
        yield from unknown_fields(inner, value, at=path)
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            if isinstance(entry, Mapping):
                yield from unknown_fields(inner, entry, at=f"{path}[{index}]")


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The one model in `Model`, `list[Model]`, `Model | None` or an Annotated of these."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(argument) for argument in get_args(annotation))
    return next((model for model in found if model is not None), None)


def _path(at: str, location: tuple[int | str, ...]) -> str:
    path = at
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path
