"""What `modelroute analyze` reads: tables that people write, checked once; what is wrong is named by its field."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from modelroute.analysis.design import Action, Comparison, Design, Objective, Outcomes, Window

Count = Annotated[float, Field(ge=0, le=1e12)]
Share = Annotated[float, Field(gt=0, lt=1)]
Index = Annotated[str, Field(pattern=r"^(0|[1-9]\d{0,8})$")]
Positive = Annotated[float, Field(gt=0)]
OddsRatio = Annotated[float, Field(ge=1e-6, le=1e6)]


class Wrong(ValueError):
    """One sentence for a person; it names the field."""


class Table(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, alias_generator=to_camel, populate_by_name=False
    )


def _check_counts(windows: tuple[tuple[float, ...], ...], arms: tuple[tuple[int, int, str], ...]) -> None:
    for index, window in enumerate(windows):
        for total, bad, whose in arms:
            if window[bad] > window[total]:
                said = f"{window[bad]:g} bad of {window[total]:g} requests{whose}"
                raise Wrong(f"windows[{index}][{bad}]: {said}")


def _check_alternatives(alternatives: tuple[float, ...], weights: tuple[float, ...] | None, direction: str) -> None:
    for index, psi in enumerate(alternatives):
        if not (psi > 1 if direction == "harm" else psi < 1):
            side = "above 1 for harm" if direction == "harm" else "below 1 for safe"
            raise Wrong(f"alternatives[{index}]: {psi:g} is an odds ratio, and has to be {side}")
    if weights is not None and len(weights) != len(alternatives):
        raise Wrong(f"priorWeights: {len(weights)} of them for {len(alternatives)} alternatives")


class TwoArmTable(Table):
    test: Literal["two-arm"]
    direction: Literal["harm", "safe"] = "harm"
    ratio: Annotated[float, Field(ge=1, le=1e6)] = 1.0
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.0
    prior_rate: Share = 0.01
    overdispersion: Annotated[float, Field(ge=1)] = 1.0
    cap: Positive | None = None
    alternatives: Annotated[tuple[OddsRatio, ...], Field(min_length=1, max_length=1000)] | None = None
    prior_weights: tuple[Annotated[float, Field(ge=0, le=1)], ...] | None = None
    onset: dict[Index, Annotated[float, Field(ge=0, le=1)]] | Literal["spread"] = "spread"
    windows: tuple[tuple[Count, Count, Count, Count], ...]

    @model_validator(mode="after")
    def _fits(self) -> TwoArmTable:
        _check_counts(self.windows, ((0, 1, " of the candidate"), (2, 3, " of the reference")))
        if self.alternatives is not None:
            _check_alternatives(self.alternatives, self.prior_weights, self.direction)
        elif self.prior_weights is not None and len(self.prior_weights) != 16:
            raise Wrong(f"priorWeights: {len(self.prior_weights)} of them for the 16 default alternatives")
        if self.prior_weights is not None and abs(sum(self.prior_weights) - 1) > 1e-6:
            raise Wrong(f"priorWeights: they sum to {sum(self.prior_weights):g}, and have to sum to 1")
        if isinstance(self.onset, dict) and sum(self.onset.values()) > 1 + 1e-9:
            raise Wrong(f"onset: the parts sum to {sum(self.onset.values()):g}, and only 1 can be spent")
        return self


class OneArmTable(Table):
    test: Literal["one-arm"]
    limit: Share
    direction: Literal["harm", "safe"] = "harm"
    prior: tuple[Positive, Positive] | None = None
    windows: tuple[tuple[Count, Count], ...]

    @model_validator(mode="after")
    def _fits(self) -> OneArmTable:
        _check_counts(self.windows, ((0, 1, ""),))
        return self


class SharesTable(Table):
    test: Literal["shares"]
    shares: Annotated[tuple[Share, ...], Field(min_length=2)]
    windows: tuple[tuple[Count, ...], ...]

    @model_validator(mode="after")
    def _fits(self) -> SharesTable:
        if abs(sum(self.shares) - 1) > 1e-6:
            raise Wrong(f"shares: they sum to {sum(self.shares):g}, and have to sum to 1")
        for index, window in enumerate(self.windows):
            if len(window) != len(self.shares):
                raise Wrong(f"windows[{index}]: {len(window)} counts for {len(self.shares)} shares")
        return self


class CounterSeries(Table):
    new: bool = False
    samples: tuple[Count | None, ...]


class CountersTable(Table):
    test: Literal["counters"]
    series: tuple[CounterSeries, ...]


class ObjectiveTable(Table):
    name: Annotated[str, Field(min_length=1)]
    on_breach: Literal["RollBack", "Pause", "Report"] = "RollBack"
    margin: Share | None = None
    ratio: Annotated[float, Field(ge=1, le=1e6)] | None = None
    limit: Share | None = None
    prior_rate: Share = 0.01
    boundaries: Annotated[int, Field(ge=1, le=64)] = 1


class ComparisonTable(Table):
    candidate: str = "candidate"
    reference: str | None = "reference"


class CountsTable(Table):
    """`bad`: one number, or one for each boundary; `bad_for_limit`: where the limit has a definition of its own."""

    total: Count
    bad: Count | Annotated[tuple[Count, ...], Field(min_length=1)]
    bad_for_limit: Count | None = None

    @property
    def compared(self) -> tuple[float, ...]:
        return self.bad if isinstance(self.bad, tuple) else (self.bad,)

    def outcomes(self) -> Outcomes:
        absolute = self.compared[0] if self.bad_for_limit is None else self.bad_for_limit
        return Outcomes(self.total, self.compared, absolute)


class WindowTable(Table):
    asked: dict[str, Annotated[float, Field(ge=0, le=1)]]
    counts: dict[str, dict[str, CountsTable]]
    completions: dict[str, Count] = {}
    restarts: Count = 0.0
    settled: bool = True


class RolloutTable(Table):
    test: Literal["rollout"]
    objectives: Annotated[tuple[ObjectiveTable, ...], Field(min_length=1)]
    comparisons: Annotated[tuple[ComparisonTable, ...], Field(min_length=1)] = (ComparisonTable(),)
    false_rollback_rate: Share = 0.05
    false_safe_rate: Share = 0.05
    overdispersion: Annotated[float, Field(ge=1)] = 1.0
    check_split: bool = False
    windows: tuple[WindowTable, ...]

    @model_validator(mode="after")
    def _fits(self) -> RolloutTable:
        names = [objective.name for objective in self.objectives]
        if len(set(names)) < len(names):
            raise Wrong("objectives: their names have to differ")
        for index, objective in enumerate(self.objectives):
            if objective.margin is not None and objective.ratio is not None:
                raise Wrong(f"objectives[{index}]: margin and ratio exclude each other")
            if objective.margin is None and objective.ratio is None and objective.limit is None:
                raise Wrong(f"objectives[{index}]: has none of margin, ratio and limit")
        for index, window in enumerate(self.windows):
            self._check_window(window, f"windows[{index}]", dict(zip(names, self.objectives, strict=True)))
        return self

    def _check_window(self, window: WindowTable, at: str, known: dict[str, ObjectiveTable]) -> None:
        if abs(sum(window.asked.values()) - 1) > 1e-6:
            raise Wrong(f"{at}.asked: the shares sum to {sum(window.asked.values()):g}, and have to sum to 1")
        for name, arms in window.counts.items():
            if name not in known:
                raise Wrong(f"{at}.counts: there is no objective {name!r}")
            for arm, counts in arms.items():
                _check_outcomes(counts, f"{at}.counts.{name}.{arm}", known[name])

    def design(self) -> Design:
        return Design(
            objectives=tuple(
                Objective(
                    name=each.name,
                    action=Action(each.on_breach),
                    margin=each.margin,
                    ratio=each.ratio,
                    limit=each.limit,
                    prior_rate=each.prior_rate,
                    boundaries=each.boundaries,
                )
                for each in self.objectives
            ),
            comparisons=tuple(Comparison(each.candidate, each.reference) for each in self.comparisons),
            alpha=self.false_rollback_rate,
            beta=self.false_safe_rate,
            overdispersion=self.overdispersion,
            checks_split=self.check_split,
        )

    def domain_windows(self) -> list[Window]:
        """The windows one after the other, a second each: the engine goes by their order alone."""
        return [
            Window(
                start=float(index),
                end=float(index + 1),
                outcomes={
                    (name, arm): counts.outcomes() for name, arms in each.counts.items() for arm, counts in arms.items()
                },
                asked=each.asked,
                settled=each.settled,
                completions=each.completions,
                restarts=each.restarts,
            )
            for index, each in enumerate(self.windows)
        ]


def _check_outcomes(counts: CountsTable, at: str, objective: ObjectiveTable) -> None:
    if len(counts.compared) != objective.boundaries:
        raise Wrong(f"{at}.bad: {len(counts.compared)} counts for {objective.boundaries} boundaries")
    for name, bads in (("bad", counts.compared), ("badForLimit", (counts.bad_for_limit or 0.0,))):
        for bad in bads:
            if bad > counts.total:
                raise Wrong(f"{at}.{name}: {bad:g} bad of {counts.total:g} requests")


AnyTable = TwoArmTable | OneArmTable | SharesTable | CountersTable | RolloutTable
_ADAPTER: TypeAdapter[AnyTable] = TypeAdapter(Annotated[AnyTable, Field(discriminator="test")])


def read_table(text: str) -> AnyTable:
    """The table in `text`. Raises Wrong with one sentence that names the field."""
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        raise Wrong(_sentence(error.errors(include_url=False))) from error


def _sentence(errors: list[Any]) -> str:
    """The first error; of a field that could be several things, what fits the value that is there."""
    first = max(errors, key=lambda error: len(error["loc"]))
    match first["type"]:
        case "json_invalid":
            return f"the input is not JSON: {first['ctx']['error']}"
        case "union_tag_not_found":
            return "test: is missing; it is one of two-arm, one-arm, shares, counters, rollout"
        case "union_tag_invalid":
            return f"test: {first['ctx']['tag']!r} is none of two-arm, one-arm, shares, counters, rollout"
        case "model_attributes_type":
            return "the input is not an object"
        case "value_error":
            return str(first["ctx"]["error"])
        case "extra_forbidden":
            return f"{_field(first['loc'])}: there is no such field"
        case "missing":
            return f"{_field(first['loc'])}: is missing"
        case "too_short" | "too_long" as length:
            least = length == "too_short"
            bound = f"at least {first['ctx']['min_length']}" if least else f"at most {first['ctx']['max_length']}"
            has = first["ctx"]["actual_length"] or "none"
            return f"{_field(first['loc'])}: has to have {bound}, and has {has}"
        case _:
            said = first["msg"].removeprefix("Input ").strip()
            return f"{_field(first['loc'])}: {said}"


_TAGS = {"two-arm", "one-arm", "shares", "counters", "rollout"}
_KINDS = {"float", "constrained-float", "constrained-str", "none"}


def _field(loc: tuple[str | int, ...]) -> str:
    """'windows[2][1]' from where pydantic says that it is; what pydantic adds for itself is left out."""
    path = ""
    for part in loc[1:] if loc and loc[0] in _TAGS else loc:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part not in _KINDS and not any(mark in part for mark in "[](),"):
            path += f".{part}" if path else part
    return path or "the input"
