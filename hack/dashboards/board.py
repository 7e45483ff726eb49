"""What the dashboard shows: the routes at a glance, their rollouts, and how the operator is doing."""

from dashboards.panels import DATASOURCE, Json, Panel, Query, Row, Unit, laid_out
from modelroute.controller import families
from modelroute.controller.families import Family

UID = "modelroute"
_CHOSEN = 'route_namespace=~"$route_namespace", route=~"$route"'
_PER_S = "[$__rate_interval]"
_SCRAPED = ("job", "instance", "pod", "container", "endpoint", "namespace", "service")
"""What Prometheus adds to a series: of no interest in a table of routes."""


def _of(family: Family, *matchers: str) -> str:
    """The series of the chosen routes, one for each of its own labels, whichever pod of the operator told them."""
    return f"max by ({', '.join(family.labels)}) ({family.name}{{{', '.join((_CHOSEN, *matchers))}}})"


def _rate(family: Family, *by: str) -> str:
    return f"sum by ({', '.join(by)}) (rate({family.name}{_PER_S}))"


def _quantile(share: float, family: Family, *by: str) -> str:
    per_bucket = f"sum by ({', '.join(('le', *by))}) (rate({family.name}_bucket{_PER_S}))"
    return f"histogram_quantile({share:g}, {per_bucket})"


def _quantiles(family: Family, *by: str) -> list[Query]:
    legend = " ".join(f"{{{{{label}}}}}" for label in by)
    return [
        Query(_quantile(share, family, *by), f"{legend} {name}".strip())
        for share, name in ((0.5, "p50"), (0.99, "p99"))
    ]


GLANCE = Row(
    "At a glance",
    [
        Panel(
            "Phases",
            "How many of the chosen ModelRoutes are in each phase.",
            [Query(f"count by (phase) ({_of(families.PHASE)})", "{{phase}}")],
            kind="stat",
            width=8,
            height=9,
        ),
        Panel(
            "Evidence of harm",
            "Of every attempt that is under way: the log e-value of harm over the limit at which it goes back (100 %)."
            " It may be looked at as often as one likes.",
            [Query(_of(families.EVIDENCE_ROLLBACK), "{{route_namespace}}/{{route}}")],
            unit=Unit.SHARE,
            limit=(1.0, "red"),
            width=16,
            height=9,
            low=-1.0,
        ),
        Panel(
            "Rolled back",
            "What decided it. One is not tried again before its models or objectives change, or somebody says retry.",
            [Query(_of(families.ROLLBACK), "")],
            kind="table",
            width=24,
            height=6,
            hidden=_SCRAPED,
        ),
    ],
)

ROLLOUT = Row(
    "Rollouts of the chosen routes",
    [
        Panel(
            "Split",
            "The share of the traffic of every arm; dashed: as it is wanted.",
            [
                Query(_of(families.SPLIT_LIVE), "{{route}}: {{arm}}"),
                Query(_of(families.SPLIT_WANTED), "{{route}}: {{arm}} wanted", dashed=True),
            ],
            unit=Unit.SHARE,
            stacked=True,
            low=0.0,
        ),
        Panel(
            "Phase",
            "Which phase each route was in, and when.",
            [Query(_of(families.PHASE), "{{route}}: {{phase}}")],
            unit=Unit.NONE,
            kind="state-timeline",
        ),
        Panel(
            "Evidence of harm by objective",
            "What each objective and candidate adds; at 100 % it is enough by itself.",
            [Query(_of(families.EVIDENCE_HARM), "{{route}}: {{objective}}, {{candidate}}")],
            unit=Unit.SHARE,
            limit=(1.0, "red"),
            low=-1.0,
        ),
        Panel(
            "Evidence of safety by objective",
            "At 100 % a ProvenSafe step takes it for proven. It begins anew at every such step.",
            [Query(_of(families.EVIDENCE_SAFE), "{{route}}: {{objective}}, {{candidate}}")],
            unit=Unit.SHARE,
            limit=(1.0, "green"),
            low=-1.0,
        ),
        Panel(
            "Bad requests",
            "Of those counted since the attempt began: rates of a sample, not proofs. The evidence is above.",
            [Query(_of(families.BAD), "{{route}}: {{objective}}, {{arm}}")],
            unit=Unit.SHARE,
            low=0.0,
        ),
        Panel(
            "Requests counted",
            "Since the attempt began. A candidate whose line is flat gets no traffic, or nobody scrapes it.",
            [Query(_of(families.COUNTED), "{{route}}: {{objective}}, {{arm}}")],
            low=0.0,
        ),
        Panel(
            "Progress",
            "How far of the way from the stable to the wanted split is asked for.",
            [Query(_of(families.PROGRESS), "{{route}}")],
            unit=Unit.SHARE,
            low=0.0,
            high=1.0,
        ),
        Panel(
            "Lag of the evidence",
            "How old the last window is that was looked at. Two scrapes and a window are normal.",
            [Query(f"time() - {_of(families.EVIDENCE_UNTIL)}", "{{route}}")],
            unit=Unit.SECONDS,
            low=0.0,
        ),
    ],
)

OPERATOR = Row(
    "The operator",
    [
        Panel("Looks", "Per second, by how they ended.", [Query(_rate(families.TICKS, "outcome"), "{{outcome}}")],
              unit=Unit.PER_SECOND, width=8, low=0.0),
        Panel("Duration of looks", "From reading to the last event.", _quantiles(families.TICK_DURATION),
              unit=Unit.SECONDS, width=8, low=0.0),
        Panel(
            "Late and overdue looks",
            "How late looks begin, and how many ModelRoutes have had none for three times as long as they should.",
            [
                Query(_quantile(0.99, families.TICK_LAG), "late, p99 (s)"),
                Query(f"sum({families.TICKS_OVERDUE.name})", "overdue"),
            ],
            width=8,
            low=0.0,
        ),
        Panel(
            "Calls to the API server",
            "Per second, without kopf's watches. Each status is written only where it changed.",
            [Query(_rate(families.API_REQUESTS, "verb", "outcome"), "{{verb}} {{outcome}}")],
            unit=Unit.PER_SECOND,
            width=8,
            low=0.0,
        ),
        Panel("Answers of the API server", "How long they take.", _quantiles(families.API_DURATION, "verb"),
              unit=Unit.SECONDS, width=8, low=0.0),
        Panel(
            "Queries to Prometheus",
            "Per second, by server and by how they ended. A warning counts as no answer.",
            [Query(_rate(families.QUERIES, "server", "outcome"), "{{server}} {{outcome}}")],
            unit=Unit.PER_SECOND,
            width=8,
            low=0.0,
        ),
        Panel("Answers of Prometheus", "How long they take.", _quantiles(families.QUERY_DURATION, "server"),
              unit=Unit.SECONDS, width=8, low=0.0),
        Panel("Events", "Per second, by reason.", [Query(_rate(families.EVENTS, "reason"), "{{reason}}")],
              unit=Unit.PER_SECOND, width=8, low=0.0),
        Panel(
            "Notifications",
            "Sent, failed and dropped per second, and how many wait.",
            [
                Query(_rate(families.NOTIFICATIONS, "target", "outcome"), "{{target}} {{outcome}}"),
                Query(f"sum by (target) ({families.NOTIFICATIONS_QUEUED.name})", "{{target}} waiting"),
            ],
            width=8,
            low=0.0,
        ),
        Panel(
            "Leading",
            "1 for the pod that works, 0 for one that stands by. Where none is at 1, nobody looks at any route.",
            [Query(f"max by (instance) ({families.LEADING.name})", "{{instance}}")],
            width=8,
            low=0.0,
        ),
        Panel(
            "Memory",
            "Resident, of each pod of the operator.",
            [Query(f"process_resident_memory_bytes and on (job, instance) {families.BUILD.name}", "{{instance}}")],
            unit=Unit.BYTES,
            width=8,
            low=0.0,
        ),
        Panel(
            "Processor",
            "Cores in use, of each pod of the operator.",
            [
                Query(
                    f"rate(process_cpu_seconds_total{_PER_S}) and on (job, instance) {families.BUILD.name}",
                    "{{instance}}",
                )
            ],
            width=8,
            low=0.0,
        ),
    ],
)  # fmt: skip

ROWS = (GLANCE, ROLLOUT, OPERATOR)


def _choice(name: str, label: str, query: str) -> Json:
    """A list to choose from; all at first."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": "StandardVariableQuery"},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def board() -> Json:
    """The dashboard as Grafana imports it; it finds its data source by a variable, not by an id of ours."""
    phases = families.PHASE.name
    source = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "refresh": 1}
    return {
        "uid": UID,
        "title": "modelroute",
        "description": "Rollouts of language models: their splits, their evidence, and the operator that moves them.",
        "tags": ["modelroute"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "30s",
        "templating": {
            "list": [
                source,
                _choice("route_namespace", "Namespace", f"label_values({phases}, route_namespace)"),
                _choice("route", "Route", f'label_values({phases}{{route_namespace=~"$route_namespace"}}, route)'),
            ]
        },
        "annotations": {"list": []},
        "panels": laid_out(ROWS),
    }
