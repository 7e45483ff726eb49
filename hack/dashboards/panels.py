"""The few kinds of Grafana panels that the dashboard is made of, so that all of one kind look and behave the same."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

Json = dict[str, Any]

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24


class Unit(StrEnum):
    """Grafana's names of the units that occur."""

    SHARE = "percentunit"
    SECONDS = "s"
    PER_SECOND = "ops"
    COUNT = "short"
    BYTES = "bytes"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression and what its series are called. `dashed`: drawn as what is wanted, not as what is."""

    expression: str
    legend: str
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """`kind` is Grafana's type of panel; `width` of 24 columns. `limit`: a line at that value, of that colour."""

    title: str
    description: str
    queries: Sequence[Query]
    unit: Unit = Unit.COUNT
    kind: str = "timeseries"
    width: int = 12
    height: int = 8
    limit: tuple[float, str] | None = None
    stacked: bool = False
    low: float | None = None
    high: float | None = None
    hidden: Sequence[str] = field(default_factory=tuple)

    @property
    def is_table(self) -> bool:
        return self.kind == "table"

    def rendered(self, number: int, x: int, y: int) -> Json:
        panel: Json = {
            "id": number,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": DATASOURCE,
            "gridPos": {"h": self.height, "w": self.width, "x": x, "y": y},
            "targets": [self._target(query, chr(ord("A") + place)) for place, query in enumerate(self.queries)],
            "fieldConfig": {"defaults": self._defaults(), "overrides": self._overrides()},
            "options": self._options(),
        }
        if self.is_table:
            hidden = dict.fromkeys(("Time", "Value", "__name__", *self.hidden), True)
            panel["transformations"] = [{"id": "organize", "options": {"excludeByName": hidden}}]
        return panel

    def _target(self, query: Query, letter: str) -> Json:
        target: Json = {
            "refId": letter,
            "datasource": DATASOURCE,
            "expr": query.expression,
            "legendFormat": query.legend,
            "range": not self.is_table,
            "instant": self.is_table,
        }
        return {**target, "format": "table"} if self.is_table else target

    def _defaults(self) -> Json:
        steps: list[Json] = [{"color": "green", "value": None}]
        if self.limit is not None:
            value, colour = self.limit
            steps = [{"color": "transparent", "value": None}, {"color": colour, "value": value}]
        defaults: Json = {"unit": self.unit.value, "thresholds": {"mode": "absolute", "steps": steps}}
        if self.low is not None:
            defaults["min"] = self.low
        if self.high is not None:
            defaults["max"] = self.high
        if self.kind == "timeseries":
            defaults["custom"] = {
                "lineWidth": 2,
                "fillOpacity": 35 if self.stacked else 5,
                "showPoints": "never",
                "spanNulls": False,
                "stacking": {"mode": "normal" if self.stacked else "none", "group": "A"},
                "thresholdsStyle": {"mode": "line" if self.limit is not None else "off"},
            }
        if self.kind == "state-timeline":
            defaults["custom"] = {"fillOpacity": 70, "lineWidth": 0}
            defaults["color"] = {"mode": "palette-classic"}
        return defaults

    def _overrides(self) -> list[Json]:
        dashed = [
            {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 6]}},
            {"id": "custom.fillOpacity", "value": 0},
            {"id": "custom.stacking", "value": {"mode": "none", "group": "B"}},
        ]
        return [
            {"matcher": {"id": "byFrameRefID", "options": chr(ord("A") + place)}, "properties": dashed}
            for place, query in enumerate(self.queries)
            if query.dashed
        ]

    def _options(self) -> Json:
        match self.kind:
            case "timeseries":
                legend = {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull"], "showLegend": True}
                return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
            case "state-timeline":
                return {"showValue": "never", "mergeValues": True, "rowHeight": 0.8, "legend": {"showLegend": False}}
            case "stat":
                reduced = {"calcs": ["lastNotNull"], "fields": "", "values": False}
                return {"reduceOptions": reduced, "textMode": "value_and_name", "colorMode": "none"}
            case _:
                return {"showHeader": True, "cellHeight": "sm"}


@dataclass(frozen=True, slots=True)
class Row:
    """A heading and the panels below it, from left to right, in lines of 24 columns."""

    title: str
    panels: Sequence[Panel]


def laid_out(rows: Sequence[Row]) -> list[Json]:
    """All panels with their places, headings included."""
    found: list[Json] = []
    y = 0
    for row in rows:
        place = {"h": 1, "w": WIDTH, "x": 0, "y": y}
        found.append(
            {
                "id": len(found) + 1,
                "type": "row",
                "title": row.title,
                "collapsed": False,
                "gridPos": place,
                "panels": [],
            }
        )
        y, x, tallest = y + 1, 0, 0
        for panel in row.panels:
            if x + panel.width > WIDTH:
                y, x, tallest = y + tallest, 0, 0
            found.append(panel.rendered(len(found) + 1, x, y))
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest
    return found
