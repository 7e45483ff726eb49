"""Who is notified of what: the part of the operator's configuration about it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from modelroute.api.fields import LABEL_NAME
from modelroute.controller.notices import STALLED, TOPICS, Receiver
from modelroute.controller.section import Section
from modelroute.errors import Unavailable
from modelroute.rollout.reasons import Reason

DEFAULT_TOPICS = (Reason.ROLLED_BACK.value, Reason.PROMOTED.value, Reason.AWAITING_APPROVAL.value, STALLED)


Topic = Annotated[str, Field(json_schema_extra={"enum": sorted(TOPICS)})]
"""One of `TOPICS`. helm refuses any other by the enum. Here `_known` does: the error of a `Literal` would list all of
them, some fifty, where one sentence says what is wrong.
"""


class SecretRef(Section):
    """Where a secret is: in a file, or in a variable of the environment. Never in the configuration itself."""

    file: Path | None = None
    env: str | None = Field(None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.file is None) == (self.env is None):
            raise ValueError("name either a file or an env, such as {file: /etc/modelroute/slack/url}")
        return self

    def read(self) -> str:
        """The secret as it is now, so that it may be rotated. Raises Unavailable, in whose words it is not."""
        if self.env is not None:
            secret, where = os.environ.get(self.env, "").strip(), f"the variable {self.env}"
        else:
            assert self.file is not None, "one of the two is set"
            where = f"the file {self.file}"
            try:
                secret = self.file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeError):
                raise Unavailable(f"{where} cannot be read") from None
        if not secret:
            raise Unavailable(f"{where} is empty or not set")
        if not secret.isprintable() or not secret.isascii():
            raise Unavailable(f"{where} has more than one line, or characters that no header and no address may have")
        return secret


class NotificationSettings(Section):
    """One receiver. `when`: reasons (docs/reasons.md), or Stalled; not `on`, which
    YAML reads as true. `queue`: how many may wait; the oldest gives way.

    `timeout` bounds one attempt as a whole, and there are `attempts` of them, with 1, 2, 4, … up to 60 s between.
    """

    name: str = Field(pattern=LABEL_NAME, max_length=63)
    type: Receiver
    url_from: SecretRef
    token_from: SecretRef | None = None
    ca_file: Path | None = None
    when: tuple[Topic, ...] = Field(DEFAULT_TOPICS, min_length=1)
    timeout_s: float = Field(10.0, gt=0, le=60, alias="timeout")
    attempts: int = Field(6, ge=1, le=20)
    queue: int = Field(100, ge=1, le=10_000)

    @field_validator("when")
    @classmethod
    def _known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(value) - TOPICS):
            raise ValueError(f"{', '.join(unknown)}: no reason of docs/reasons.md, and not {STALLED}")
        return value
