"""Where `modelroute explain` finds a ModelRollout, in a cluster or a file, and what of it can be gone through again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TextIO

import yaml

from modelroute.analysis.engine import ENGINE_VERSION, State, decode, start, version_of
from modelroute.api.parse import parse
from modelroute.api.resources import ModelRollout
from modelroute.api.rollout_status import ModelRolloutStatus, WindowRecord
from modelroute.cluster.client import MODEL_ROLLOUTS, MODEL_ROUTES, Json, Objects
from modelroute.cluster.credentials import configuration, namespace_of, of_a_person
from modelroute.cluster.store import KindStore
from modelroute.controller.kept import turn_of
from modelroute.controller.records import attempt_of, progress_of
from modelroute.controller.window_text import read
from modelroute.errors import Invalid
from modelroute.explaining.kept import Kept
from modelroute.gateway.render import LABEL_ROUTE
from modelroute.rollout.attempt import Attempt, Record


@dataclass(frozen=True, slots=True)
class Told:
    """A ModelRollout as it was read, and the domain's view of it. `whyless`: why nothing of it can be gone through."""

    rollout: ModelRollout
    record: Record
    kept: Kept | None
    whyless: str = ""


class Reader(Protocol):
    """Objects of one kind, to be read."""

    async def get(self, namespace: str, name: str) -> Json | None: ...

    async def list(self, namespace: str, *, labels: str) -> list[Json]: ...


async def from_cluster(
    name: str, *, namespace: str | None, kubeconfig: str | None, context: str | None, attempt: int | None
) -> tuple[Json, Json | None]:
    """The ModelRollout that `name` stands for, and the ModelRoute that it is of, None where that is gone.

    Raises Invalid where there is no such rollout, Unavailable without an answer.
    """
    kubeconfig = of_a_person(kubeconfig)
    objects = Objects(configuration(kubeconfig, context=context), workers=2)
    where = namespace or namespace_of(kubeconfig, context=context)
    try:
        routes, rollouts = KindStore(objects, MODEL_ROUTES), KindStore(objects, MODEL_ROLLOUTS)
        found = await find(routes, rollouts, where, name, attempt=attempt)
        return found, await routes.get(where, str((found.get("spec") or {}).get("modelRoute")))
    finally:
        objects.close()


async def find(routes: Reader, rollouts: Reader, namespace: str, name: str, *, attempt: int | None) -> Json:
    """The ModelRollout of that name, else the latest of the ModelRoute of that name (or the one of that attempt)."""
    kind, _, bare = name.rpartition("/")
    if not kind.startswith("modelroute") and (found := await rollouts.get(namespace, bare)) is not None:
        return found
    if await routes.get(namespace, bare) is None:
        raise Invalid(f"there is no ModelRoute and no ModelRollout {bare} in namespace {namespace}")
    return chosen(await rollouts.list(namespace, labels=f"{LABEL_ROUTE}={bare}"), f"ModelRoute {bare}", attempt=attempt)


def from_file(file: TextIO, *, name: str | None, attempt: int | None) -> Json:
    """A ModelRollout in YAML or JSON, or one of a list of them as kubectl prints it. Raises Invalid."""
    try:
        content = yaml.safe_load(file.read())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        told = " ".join(str(error).split())
        raise Invalid(f"{file.name} is neither YAML nor JSON: {told}") from error
    items = content.get("items") or [content] if isinstance(content, dict) else []
    found = [each for each in items if isinstance(each, dict) and each.get("kind") == ModelRollout.KIND]
    if name is not None:
        bare = name.rpartition("/")[2]
        found = [each for each in found if bare in _names(each)]
    what = f"{file.name}" if name is None else f"{name} in {file.name}"
    if not found:
        kinds = sorted({str(each.get("kind")) for each in items if isinstance(each, dict)}) or ["nothing"]
        raise Invalid(
            f"there is no ModelRollout {what} (it holds {', '.join(kinds)}): kubectl get modelrollouts -o yaml"
        )
    return chosen(found, what, attempt=attempt)


def chosen(rollouts: Iterable[Json], of: str, *, attempt: int | None) -> Json:
    """The attempt of that number, else the latest that has begun."""
    begun = [each for each in rollouts if (each.get("status") or {}).get("phase")]
    numbers = {_number(each): each for each in begun}
    if not numbers:
        raise Invalid(f"{of}: no attempt has begun, so there is nothing to explain")
    if attempt is not None and attempt not in numbers:
        kept = ", ".join(str(number) for number in sorted(numbers))
        raise Invalid(f"{of}: there is no attempt {attempt}; kept are {kept}")
    return max(begun, key=turn_of) if attempt is None else numbers[attempt]


def _names(rollout: Json) -> set[str]:
    return {str((rollout.get("metadata") or {}).get("name")), str((rollout.get("spec") or {}).get("modelRoute"))}


def _number(rollout: Json) -> int:
    return int((rollout.get("spec") or {}).get("attempt") or 0)


def held_by(route: Json | None, rollout: str) -> dict[str, str] | None:
    """Why the route does not go on, in its own words, where `rollout` is its current or last attempt; else None.

    What an attempt ended with says nothing about what is wanted since.
    """
    status = (route or {}).get("status") or {}
    if status.get("rollout") != rollout or status.get("phase") in {None, "Progressing", "Stable", "RolledBack"}:
        return None
    ready: Json = next((each for each in status.get("conditions") or () if each.get("type") == "Ready"), {})
    found = {"phase": status["phase"], "reason": ready.get("reason"), "message": status.get("message")}
    return {key: str(value or "") for key, value in found.items()}


def told_by(body: Json) -> Told:
    """What a ModelRollout keeps. Raises Invalid, naming the field, where it cannot be read."""
    rollout = parse(ModelRollout, _without_nothing(body))
    name, namespace = rollout.metadata.name, rollout.metadata.namespace
    attempt = attempt_of(rollout.spec, name=name, namespace=namespace)
    record = Record(attempt, progress_of(rollout.status, attempt))
    kept, whyless = kept_in(rollout.status, attempt)
    return Told(rollout, record, kept, whyless)


def _without_nothing(body: Json) -> Json:
    return {**body, "status": body.get("status") or {}}


def kept_in(status: ModelRolloutStatus, attempt: Attempt) -> tuple[Kept | None, str]:
    """The most windows that can be gone through again; and why not all that are kept, "" where all can.

    What another version of the engine decided is not computed again: it came to other numbers by the same windows.
    """
    states = [each.state for each in status.checkpoints or ()] + [status.engine_state or ""]
    if others := {version for state in states if (version := version_of(state)) not in {None, ENGINE_VERSION}}:
        of = f"version {', '.join(sorted(map(str, others)))} of the statistics"
        return None, f"{of} decided, this is version {ENGINE_VERSION}, and what the older held about max is not shown"
    why = ""
    for before, records, whole in _beginnings(status, attempt):
        try:
            windows = tuple(read(record, attempt) for record in records)
        except Invalid as error:
            why = str(error)
            continue
        earlier = [each for each in status.windows or () if each.end < records[0].end]
        last = (read(earlier[-1], attempt), earlier[-1].step) if earlier else None
        return Kept(before, windows, tuple(record.step for record in records), whole, why, last), ""
    return None, why or "no state of the statistics was kept among the windows"


def _beginnings(status: ModelRolloutStatus, attempt: Attempt) -> Iterator[tuple[State, list[WindowRecord], bool]]:
    """From where one could go through windows again, and the windows from there on; the earliest first."""
    records = status.windows or []
    if not records:
        return
    if sum(each.windows or 0 for each in status.sums or ()) == len(records):
        yield start(attempt.design), records, True
    for checkpoint in status.checkpoints or ():
        after = [each for each in records if each.end > checkpoint.until]
        if checkpoint.until < records[0].end or not after:
            continue
        try:
            state = decode(attempt.design, checkpoint.state)
        except ValueError:
            continue
        yield state, after, False
