"""What a ModelRoute's spec asks for, in the domain's terms, and the revision that names it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from modelroute.analysis.design import Objective
from modelroute.rollout.attempt import Deadline, GuardTerms, Step
from modelroute.rollout.split import TOTAL, Share, Split


@dataclass(frozen=True, slots=True)
class Plan:
    """`split` is the wanted one, of every model in the spec's order. `reference` and `initial` are model names.

    `boundaries` (seconds, by objective): where the gateway's histogram can be read for latency, once that is known.
    """

    split: Split
    reference: str
    initial: str
    objectives: tuple[Objective, ...]
    steps: tuple[Step, ...]
    alpha: float
    beta: float
    revision: str
    paused: bool = False
    deadline: Deadline = field(default_factory=Deadline)
    guard: GuardTerms = field(default_factory=GuardTerms)
    boundaries: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def first_split(self) -> Split:
        """Where a first rollout starts: all of the traffic on the initial model."""
        return tuple(
            Share(share.model, share.backend, TOTAL if share.model == self.initial else 0) for share in self.split
        )

    def with_boundaries(self, boundaries: Mapping[str, tuple[float, ...]]) -> Plan:
        """The plan with what was found out about the histograms; the revision stays: it is about what was asked."""
        objectives = tuple(
            replace(each, boundaries=len(boundaries[each.name])) if boundaries.get(each.name) else each
            for each in self.objectives
        )
        return replace(self, objectives=objectives, boundaries=dict(boundaries))


_REVISION_FIELDS = "v1"
"""The version of the list of fields below. A field may be added only with a new version, and old ones are kept as they
are: an upgrade of the operator must not give a rolled-back spec a new name, for that would retry it."""


def revision_of(split: Split, objectives: tuple[Objective, ...], metrics: tuple[tuple[str, ...], ...]) -> str:
    """Ten hex digits of what a rollout is about: arms, weights, objectives; `metrics` is what each objective counts.

    Not in it: steps, hostnames, filters, the order of models, weights that mean the same (60/40 and 3/2).
    """
    arms = sorted(
        [share.model, share.backend.group, share.backend.kind, share.backend.namespace, share.backend.name,
         share.backend.port, share.weight]
        for share in split
    )  # fmt: skip
    held_to = sorted(
        [
            objective.name,
            objective.action.value,
            objective.margin,
            objective.ratio,
            objective.limit,
            list(metric),
        ]
        for objective, metric in zip(objectives, metrics, strict=True)
    )
    content = json.dumps([_REVISION_FIELDS, arms, held_to], separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()[:10]
