"""The decision as one HTML page that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from modelroute.compare.decide import Decision
from modelroute.compare.pictures import breakeven, front, heat, latency, svg, weights
from modelroute.compare.tables import Table, tables

_LONGEST: Final = 900
"""Letters of a prompt or an answer that are shown."""


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the page: a table with the pictures that belong to it."""

    table: Table
    lead: str
    pictures: tuple[Markup, ...]
    small: bool = False


_LEADS: Final = {
    "ranking": "Constraints come first; then the models that are left are weighed.",
    "constraints": "Met (✓) or broken (✗) only where the whole interval is on one side of the bound; ? is open.",
    "measures": "A request that failed counts as a wrong answer, and as slower than every answer.",
    "scores": "Scores lie between declared bounds, so another alternative changes nobody's score. A column is wider by "
    "its criterion's weight.",
    "weights": "One weight moves, the others keep their proportions; within the shaded part the winner stays.",
    "pairs": "Both models had the same items, so what differs is the models.",
    "bills": "Mistakes are what comparison.yaml says that a wrong answer costs.",
    "exchanges": "What the model saves, less what its mistakes, its hosting and the overheads cost: it pays where "
    "that is above nothing.",
}


def to_html(decision: Decision) -> str:
    """The same decision gives the same bytes."""
    environment = Environment(
        loader=PackageLoader("modelroute.compare"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cut"] = _cut
    environment.filters["glued"] = _glued
    return environment.get_template("page.html.j2").render(
        decision=decision,
        comparison=decision.comparison,
        sections=_sections(decision),
        colours={each.model.name: svg.colour(index) for index, each in enumerate(decision.alternatives)},
        about=decision.winner or decision.comparison.baseline,
    )


def _sections(decision: Decision) -> list[Section]:
    pictures: dict[str, Any] = {
        "ranking": front.draw(decision),
        "scores": heat.draw(decision),  # which says all that the table does
        "measures": latency.draw(decision),
    }
    small = {"weights": weights.draw(decision), "exchanges": breakeven.draw(decision)}
    found: list[Section] = []
    for table in tables(decision):
        picture = pictures.get(table.key)
        drawn = tuple(small[table.key]) if table.key in small else (() if picture is None else (picture,))
        found.append(Section(table, _LEADS[table.key], drawn, table.key in small))
    return found


def _glued(text: str) -> str:
    """A number keeps its unit on its line."""
    return re.sub(r"(?<=\d) (?=(%|pp|s|ms|[A-Z]{3})\b|%)", "\u00a0", text)


def _cut(text: str | None) -> str:
    told = (text or "").strip()
    return told if len(told) <= _LONGEST else told[: _LONGEST - 1] + "…"
