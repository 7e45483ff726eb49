"""What all parts of the operator's configuration have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator
from pydantic.alias_generators import to_camel

from modelroute.api.quantities import parse_duration
from modelroute.errors import Invalid


class Section(BaseModel):
    """camelCase as everything else that a platform engineer writes; an unknown key is an error, not a silence."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _durations(cls, value: Any, info: Any) -> Any:
        if isinstance(value, str) and str(info.field_name).endswith("_s"):
            try:
                return parse_duration(value)
            except Invalid as error:
                # pydantic adds the field's path to a ValueError, and to nothing else.
                raise ValueError(str(error)) from error
        return value
