"""One tree of exceptions, by what the caller can do about it.

ModelRouteError
├── Unavailable      a part did not answer, or not usefully: keep what is live, retry later
├── Conflict         somebody else wrote first: observe again, then decide again
└── Invalid          what a person wrote cannot be carried out: say so, wait for the spec to change
"""

from __future__ import annotations


class ModelRouteError(Exception):
    """The root: catch it where a tick ends, never deeper.

    `retry_after_s`: no sooner than after so many seconds, where who did not answer said so; else 0.
    """

    retry_after_s = 0.0


class Unavailable(ModelRouteError):
    """The API server, Prometheus or the gateway did not answer, or not usefully. Retry."""

    def __init__(self, message: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Conflict(ModelRouteError):
    """The object changed since it was read. Observe again; never write over it."""


class Invalid(ModelRouteError):
    """What the user wrote cannot be carried out.

    `field` is the path in the object (`spec.models[1].weight`), empty where none is to blame.
    """

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(f"{field}: {message}" if field else message)
        self.field = field
