"""The drawing and the tables of docs/states.md, made from the table of states: `python -m states_page [--check]`.

What stands between the markers is made here; the prose around them is written by hand.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from modelroute.rollout.decision import Phase
from modelroute.rollout.table import COLUMNS, EXITS, TABLE, Event, State

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "states.md"
NOT_DRAWN: Final = frozenset(
    {
        Event.LONG,
        Event.ROUTE_CHANGED,
        Event.ROUTE_CONTENDED,
        Event.ROUTE_DELETED,
        Event.ROUTE_FOREIGN,
        Event.BACKEND_GONE,
        Event.RECORD_DELETED,
        Event.PROMOTE_FULL,
    }
)
"""What happens to few people, or again to what is drawn already; the table has them all."""


def main(arguments: list[str] | None = None) -> int:
    """Write the page anew, or with --check say whether it differs."""
    parser = argparse.ArgumentParser(prog="python -m states_page", description=main.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the page differs")
    check = parser.parse_args(arguments).check
    text = PAGE.read_text(encoding="utf-8")
    wanted = written(text)
    if check and wanted != text:
        print("docs/states.md is not what rollout/table.py says: run `python -m states_page`", file=sys.stderr)
        return 1
    if not check:
        PAGE.write_text(wanted, encoding="utf-8")
    return 0


def written(text: str) -> str:
    """`text` with the parts that are made here."""
    for name, part in (("drawing", drawing()), ("exits", exits()), ("table", table())):
        begin, end = f"<!-- {name}: made by `python -m states_page` -->", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{part}\n{end}{after}"
    return text


def drawing() -> str:
    """A Mermaid state diagram by phase."""
    arrows: dict[tuple[Phase, Phase], list[Event]] = {}
    for (state, event), found in TABLE.items():
        for to in found:
            if state.phase is not None and to.phase is not None and to.phase is not state.phase:
                events = arrows.setdefault((state.phase, to.phase), [])
                if event not in events and event not in NOT_DRAWN:
                    events.append(event)
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> Pending: applied"]
    lines += [f"    {one} --> {other}: {_label(events)}" for (one, other), events in _in_order(arrows) if events]
    return "\n".join([*lines, "```"])


def _in_order(arrows: Mapping[tuple[Phase, Phase], list[Event]]) -> Iterator[tuple[tuple[Phase, Phase], list[Event]]]:
    order = list(Phase)
    yield from sorted(arrows.items(), key=lambda item: (order.index(item[0][0]), order.index(item[0][1])))


def _label(events: list[Event]) -> str:
    # A colon would end the label.
    return "<br>".join(event.replace(": ", " ") for event in events)


def exits() -> str:
    """What leads out of each state."""
    rows = [
        f"| {state} | {leads.by} | {leads.how} | {_names(TABLE[state, leads.event] - {state})} |"
        for state, ways in EXITS.items()
        for leads in ways
    ]
    return "\n".join(["| state | by | how | to |", "|---|---|---|---|", *rows])


def table() -> str:
    """Events down, states across; a dot is a state that stays."""
    head = [f"| event | {' | '.join(COLUMNS)} |", f"|---|{'---|' * len(COLUMNS)}"]
    return "\n".join([*head, *(f"| {event} | {' | '.join(_cells(event))} |" for event in Event)])


def _cells(event: Event) -> Iterator[str]:
    for state in COLUMNS:
        found = TABLE[state, event]
        if found == {state}:
            yield "·"
        else:
            yield _names(found - {state}) + (" or ·" if state in found else "")


def _names(states: frozenset[State]) -> str:
    return ", ".join(state for state in State if state in states)


if __name__ == "__main__":
    raise SystemExit(main())
