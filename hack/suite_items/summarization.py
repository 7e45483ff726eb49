# ruff: noqa: E501  # a template's sentences are read and checked more easily on one line
"""Summaries of short reports: the reference names the facts that matter, the source has others that do not."""

import random
from collections.abc import Iterator
from typing import Any

from suite_items.words import MONTHS, PEOPLE, PLACES, some

Made = dict[str, Any]
ASK = "Summarize the report below in at most two sentences. Use only what it says.\n\n"


def items(rng: random.Random) -> Iterator[Made]:
    for number in range(72):
        yield (_outage, _meeting, _complaint, _delivery)[number % 4](rng)


def _made(kind: str, report: str, summary: str, facts: list[str]) -> Made:
    return {"kind": kind, "prompt": ASK + report, "expected": summary, "source": report, "facts": facts}


def _outage(rng: random.Random) -> Made:
    lead, place = rng.choice(PEOPLE), rng.choice(PLACES)
    hour, minutes, users = rng.randint(1, 22), rng.randint(12, 95), rng.randint(21, 96) * 100
    system, cause = rng.choice(
        (
            ("payment service", "an expired certificate"),
            ("booking system", "a full disk"),
            ("mail gateway", "a faulty network switch"),
            ("search index", "a wrong setting"),
        )
    )
    report = (
        f"At {hour:02d}:15 the {system} in {place} stopped answering. The person on call was having dinner and reached a computer "
        f"{rng.randint(3, 9)} minutes later. At first the team suspected the weather, because a storm had passed. {lead} then found that "
        f"{cause} was the reason and repaired it. The {system} was back after {minutes} minutes. About {users} customers were affected. "
        f"The team ordered new chairs in the same week. A check that would have warned earlier will be added before the end of {rng.choice(MONTHS)}."
    )
    summary = (
        f"The {system} in {place} was down for {minutes} minutes because of {cause}, which {lead} repaired. "
        f"About {users} customers were affected, and a check will be added."
    )
    return _made("outage", report, summary, [place, str(minutes), cause, str(users)])


def _meeting(rng: random.Random) -> Made:
    chair, against, place = *some(rng, PEOPLE, 2), rng.choice(PLACES)
    budget, votes, month = rng.randint(12, 95) * 1000, rng.randint(6, 9), rng.choice(MONTHS)
    plan = rng.choice(("a bicycle shed", "a new canteen", "solar panels", "a second loading dock"))
    report = (
        f"The works council met in {place}; {chair} was in the chair. The minutes of the last meeting were read and nobody objected. The "
        f"coffee machine was discussed for some time without a result. Then the council turned to {plan}. {against} was against it and "
        f"feared noise during the works. After a break of {rng.randint(10, 25)} minutes the plan was accepted with {votes} votes to 3. The "
        f"budget is {budget} euro, and the works begin in {month}. The next meeting was not fixed."
    )
    summary = (
        f"The works council in {place} accepted {plan} with {votes} votes to 3, against the wish of {against}. "
        f"The budget is {budget} euro, and the works begin in {month}."
    )
    return _made("meeting", report, summary, [plan, str(votes), str(budget), month])


def _complaint(rng: random.Random) -> Made:
    name, agent = some(rng, PEOPLE, 2)
    order, late, refund = rng.randint(10_000, 99_999), rng.randint(4, 21), rng.randint(5, 60)
    goods = rng.choice(("a desk", "a coffee grinder", "a tent", "a sewing machine", "a pair of boots"))
    report = (
        f"{name} called about order {order}, {goods}. The call was polite. The parcel had come {late} days late, and the box was dented, though "
        f"the goods were fine. {name} mentioned a holiday that was spoiled. {agent} looked up the carrier's record, which showed that the "
        f"parcel had been left in the wrong depot. {agent} offered to pay back {refund} euro, and {name} accepted. The line was bad "
        "towards the end. The carrier will be asked for a statement."
    )
    summary = (
        f"{name} complained that order {order} came {late} days late because the parcel had been left in the wrong depot. "
        f"{agent} paid back {refund} euro, which {name} accepted."
    )
    return _made("complaint", report, summary, [str(order), f"{late} days", "wrong depot", f"{refund} euro"])


def _delivery(rng: random.Random) -> Made:
    start, end = some(rng, PLACES, 2)
    driver, tonnes, wrong = rng.choice(PEOPLE), rng.randint(3, 24), rng.randint(2, 30)
    day, reason = (
        rng.choice(("Monday", "Wednesday", "Friday")),
        rng.choice(("a closed bridge", "an accident", "a snowfall", "a strike")),
    )
    report = (
        f"On {day} {driver} left {start} with {tonnes} tonnes of tiles for {end}. The radio did not work. The tank had been filled the evening "
        f"before. Because of {reason} the lorry had to take the long way and arrived {rng.randint(2, 6)} hours late. When it was unloaded, "
        f"{wrong} tiles turned out to be broken. The customer kept the rest and asked for a lower price. {driver} spent the night in a hostel. "
        "The broken ones will be replaced with the next load."
    )
    summary = (
        f"{driver} took {tonnes} tonnes of tiles from {start} to {end} and arrived late because of {reason}. "
        f"{wrong} tiles were broken and will be replaced with the next load."
    )
    return _made("delivery", report, summary, [end, f"{tonnes} tonnes", reason, str(wrong)])
