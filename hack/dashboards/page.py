"""The tables of docs/metrics.md. The prose around them is written by hand, between marks that say where they go."""

import re
from collections.abc import Iterable

from modelroute.controller.families import OF_ATTEMPTS, OF_ROUTES, OF_THE_OPERATOR, Family

TABLES = {"routes": OF_ROUTES, "attempts": OF_ATTEMPTS, "operator": OF_THE_OPERATOR}


def with_tables(page: str) -> str:
    """`page` with each table anew. Raises ValueError where a mark is missing."""
    for name, families in TABLES.items():
        marked = re.compile(rf"(<!-- {name}: .*? -->\n).*?(<!-- end -->)", re.DOTALL)
        found = marked.search(page)
        if not found:
            raise ValueError(f"the page has no table of the {name}: <!-- {name}: made by … --> and <!-- end -->")
        page = f"{page[: found.start()]}{found[1]}\n{table(families)}\n{found[2]}{page[found.end() :]}"
    return page


def table(families: Iterable[Family]) -> str:
    lines = ["| Metric | Type | Labels | What it says |", "|---|---|---|---|"]
    for each in families:
        labels = ", ".join(f"`{label}`" for label in each.labels) or "none"
        lines.append(f"| `{each.name}` | {each.kind} | {labels} | {each.help} |")
    return "\n".join(lines) + "\n"
