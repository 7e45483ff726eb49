"""The scalars of the API: names, quantities, texts, instants; each with the sentence that a wrong one is
answered by.

Quantities stay strings, as they stand in the YAML; `modelroute.api.quantities` turns them into numbers. A
quantity is checked by one CEL rule instead of a pattern and a rule: the API server would report both, and a
regular expression is no help to the one who reads it. `double()` and `duration()` come after `matches` in the
same rule, because they are errors on anything else.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Annotated

from pydantic import BeforeValidator, Field

from modelroute.api.quantities import DURATION, MONEY, PERCENT, POINTS, RATIO
from modelroute.api.schema import Cel, Extra
from modelroute.errors import Invalid

LABEL_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_HOSTNAME = r"^([*][.])?[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_METRIC_NAME = r"^[a-zA-Z_:][a-zA-Z0-9_:]*$"


def _matches(pattern: str) -> str:
    return f"self.matches(r'{pattern}')"


def _number(suffix: str) -> str:
    return f"double(self.substring(0, self.size() - {len(suffix)}))" if suffix else "double(self)"


# Names.
LabelName = Annotated[
    str,
    Field(min_length=1, max_length=63),
    Cel(
        _matches(LABEL_NAME),
        "must be a name of lower-case letters, digits and dashes, at most 63, for example chat-2",
    ),
]
ObjectName = Annotated[str, Field(min_length=1, max_length=253)]
Hostname = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Cel(
        _matches(_HOSTNAME),
        "must be a host name without port or scheme, for example chat.example.com or *.example.com",
    ),
]
MetricName = Annotated[
    str,
    Field(min_length=1, max_length=253),
    Cel(
        _matches(_METRIC_NAME),
        "must be the name of a Prometheus metric, not a query, for example answers_total; put the selection "
        "into labels",
    ),
]

# Quantities.
OpenPercent = Annotated[
    str,
    Field(max_length=12),
    Cel(
        f"{_matches(PERCENT)} && {_number('%')} > 0.0 && {_number('%')} < 100.0",
        "must be a percentage above 0% and below 100%, for example 0.5%",
    ),
]
CoveragePercent = Annotated[
    str,
    Field(max_length=12),
    Cel(
        f"{_matches(PERCENT)} && {_number('%')} > 0.0",
        "must be a percentage above 0% and at most 100%, for example 90%",
    ),
]
ErrorRatePercent = Annotated[
    str,
    Field(max_length=12),
    Cel(
        f"{_matches(PERCENT)} && {_number('%')} >= 0.01 && {_number('%')} <= 50.0",
        "must be a percentage from 0.01% to 50%, for example 5%",
    ),
]
PercentagePoints = Annotated[
    str,
    Field(max_length=12),
    Cel(
        f"{_matches(POINTS)} && {_number('pp')} > 0.0",
        "must be percentage points above 0pp and below 100pp, for example 0.2pp; for no increase at all set "
        'maxRatio: "1" instead',
    ),
]
Ratio = Annotated[
    str,
    Field(max_length=12),
    Cel(
        f"{_matches(RATIO)} && {_number('')} >= 1.0 && {_number('')} <= 100.0",
        'must be a number from 1 to 100, quoted, for example "1.2" (20 % more than the reference)',
    ),
]
Duration = Annotated[
    str,
    Field(max_length=28),
    Cel(_matches(DURATION), "must be a duration of h, m, s and ms, for example 30s, 10m or 1h30m"),
]
PositiveDuration = Annotated[
    str,
    Field(max_length=28),
    Cel(
        f"{_matches(DURATION)} && duration(self) > duration('0s')",
        "must be a duration above 0 of h, m, s and ms, for example 500ms, 2s or 1h30m",
    ),
]
Deadline = Annotated[
    str,
    Field(max_length=28),
    Cel(
        f"{_matches(DURATION)} && duration(self) >= duration('1m')",
        "must be a duration of at least 1m, for example 30m, 6h or 24h",
    ),
]
Money = Annotated[
    str,
    Field(max_length=20),
    Cel(_matches(MONEY), 'must be a decimal amount, quoted, without a currency sign, for example "0.15"'),
]
Currency = Annotated[
    str,
    Field(max_length=3),
    Cel(_matches("^[A-Z]{3}$"), "must be a currency's three-letter code, for example USD or EUR"),
]


# Texts of a status. A status write must never fail because a sentence was long, so these are cut, not
# refused.
def _cut(text: object, limit: int) -> object:
    return text[: limit - 1] + "…" if isinstance(text, str) and len(text) > limit else text


Word = Annotated[str, BeforeValidator(partial(_cut, limit=253)), Field(max_length=253)]
Line = Annotated[str, BeforeValidator(partial(_cut, limit=512)), Field(max_length=512)]
Sentence = Annotated[str, BeforeValidator(partial(_cut, limit=2048)), Field(max_length=2048)]
Path = Annotated[str, BeforeValidator(partial(_cut, limit=512)), Field(max_length=512)]


# Instants. The engine counts unix seconds; a status shows RFC 3339 in UTC, to the microsecond.
Instant = Annotated[str, Field(max_length=32), Extra((("format", "date-time"),))]


def format_instant(unix_seconds: float) -> Instant:
    """1767323045.25 → `2026-01-02T03:04:05.250000Z`."""
    try:
        moment = datetime.fromtimestamp(unix_seconds, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise Invalid(f"{unix_seconds!r} is not a time in unix seconds") from error
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_instant(text: str, *, field: str = "") -> float:
    """`2026-01-02T03:04:05.250000Z` → 1767323045.25 (unix seconds). Raises Invalid."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise Invalid(f"{text!r} is not a time such as 2026-01-02T03:04:05Z", field=field) from error
    if moment.tzinfo is None:
        raise Invalid(f"{text!r} has no time zone: end it with Z", field=field)
    return moment.timestamp()
