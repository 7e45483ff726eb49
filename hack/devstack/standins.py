"""Stand-ins for models that are compared: servers of the stack that know the suites' answers, as well as they are told.

    python -m devstack.standins examples/compare/support-chatbot/standins.yaml

They are no models. A stand-in knows every item of the suites, and gets a set share of them right, leaks and invents at
set rates, and answers at a set speed; which items it gets wrong is drawn from a seed. Most of the difficulty is the
item's, so that two stand-ins tend to fail on the same items, as models do.
"""

import argparse
import asyncio
import hashlib
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from devstack.model_answers import Known, Speed
from devstack.model_faults import Faults
from devstack.model_logprobs import Logprobs
from devstack.model_server import ModelSettings, serving
from modelroute.compare.evaluation import probing
from modelroute.compare.suites.loading import built_in_names, built_in_suite
from modelroute.compare.suites.suite import Item, Method, Suite

SHARED = 0.6
"""The share of difficulty that is the item's own, and the same for every stand-in."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """One server. Shares in [0, 1], of items: `accuracy` by suite, `leaks` a forbidden phrase where there is one,
    `invents` a figure in a summary, `errors` are answered with 500; `tail` take three times as long.
    """

    name: str
    port: int
    accuracy: Mapping[str, float]
    leaks: float = 0.0
    invents: float = 0.0
    errors: float = 0.0
    tail: float = 0.0
    seed: int = 0
    logprobs: Logprobs = Logprobs.MISSING
    speed: Speed = field(default_factory=lambda: Speed(speed_up=1.0))

    def settings(self, suites: Sequence[Suite]) -> ModelSettings:
        faults = Faults(fail_rate=self.errors)
        return ModelSettings(self.name, self.name, self.speed, faults, self.seed, book(self, suites), self.logprobs)


def book(stand_in: StandIn, suites: Sequence[Suite]) -> Callable[[str], Known | None]:
    """What this stand-in answers, by the text of the question."""
    known = {
        item.text: Known(
            _answer(stand_in, suite, item),
            3.0 if _draw(stand_in, item, "tail") < stand_in.tail else 1.0,
            item.options if item.method is Method.LIKELIEST else (),
        )
        for suite in suites
        for item in suite.items
    }
    probes = {probing.question(word): Known(word, others=probing.WORDS) for word in probing.WORDS}
    return (known | probes).get


def _draw(stand_in: StandIn, item: Item, what: str) -> float:
    """In [0, 1), the same in every run; in most cases the same for all stand-ins."""
    own = _uniform(f"{stand_in.name}/{stand_in.seed}/{what}/{item.hash}")
    shared = _uniform(f"{what}/{item.hash}")
    return shared if _uniform(f"{stand_in.name}/{what}/which/{item.hash}") < SHARED else own


def _uniform(key: str) -> float:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64


def _answer(stand_in: StandIn, suite: Suite, item: Item) -> str:
    right = _draw(stand_in, item, "right") < stand_in.accuracy.get(suite.name, 0.5)
    text = _right(suite, item) if right else _wrong(suite, item)
    if item.forbidden and _draw(stand_in, item, "leak") < stand_in.leaks:
        text = f"Between us: {item.forbidden[0]}. {text}"
    if item.method is Method.SUMMARY and _draw(stand_in, item, "invent") < stand_in.invents:
        text += " Damages of 48,500 euro are expected."
    return text


def _right(suite: Suite, item: Item) -> str:
    if item.method is Method.SUMMARY:
        return _reworded(item)
    if item.method in (Method.EXACT, Method.JSON, Method.LIKELIEST):
        return item.expected
    return f"{_talk(item)} {suite.marker} {item.expected}"


def _wrong(suite: Suite, item: Item) -> str:
    match item.method:
        case Method.CHOICE:
            others = [option for option in item.options if option not in item.right]
            given = others[int(_uniform(f"wrong/{item.hash}") * len(others))]
        case Method.LIKELIEST:
            return next(option for option in item.options if option not in item.right)
        case Method.NUMBER:
            given = str(int(item.expected) + 1)
        case Method.SUMMARY:
            return _reworded(item).split(". ")[0] + "."  # the first sentence, without the facts of the second
        case Method.EXACT | Method.JSON:
            return f"Sure! Here it is: {item.expected}"
        case Method.TEXT:
            given = "something else"
    return f"{_talk(item)} {suite.marker} {given}"


_OTHER_WORDS = {
    "because of": "owing to",
    "were affected": "noticed it",
    "accepted": "agreed to",
    "complained that": "called because",
    "arrived late": "was late",
    "will be": "is to be",
}


def _reworded(item: Item) -> str:
    """The reference summary with some of its words exchanged, so that ROUGE has something to measure."""
    text = item.expected
    for number, (word, other) in enumerate(_OTHER_WORDS.items()):
        if _uniform(f"reword/{number}/{item.hash}") < 0.7:
            text = text.replace(word, other)
    return text


def _talk(item: Item) -> str:
    """Some words before the answer, so that answers differ in length."""
    sentences = ("Thank you for asking.", "Let me go through it once more.", "I have looked at every point of it.")
    return " ".join(sentences[: 1 + int(_uniform(f"talk/{item.hash}") * 3)])


@asynccontextmanager
async def standing_in(
    stand_ins: Sequence[StandIn], host: str = "127.0.0.1", more: Sequence[Suite] = ()
) -> AsyncIterator[dict[str, str]]:
    """Serve while the block runs: base URLs by name. They know the suites that come with modelroute, and `more`. Port 0
    takes a free one. OSError if a port is taken.
    """
    suites = [*(built_in_suite(name) for name in built_in_names()), *more]
    async with AsyncExitStack() as running:
        urls: dict[str, str] = {}
        for one in stand_ins:
            serve = serving(one.settings(suites), host, one.port, grace_s=0.5)
            _, url = await running.enter_async_context(serve)
            urls[one.name] = f"{url}/v1"
        yield urls


def read_stand_ins(path: Path) -> list[StandIn]:
    """The stand-ins of a YAML file: `standIns`, each with the fields of StandIn and, under speed, of Speed."""
    told: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    found = []
    for one in told["standIns"]:
        speed = Speed(**{"speed_up": 1.0, **one.pop("speed", {})})
        found.append(StandIn(**one, speed=speed))
    return found


async def _run(stand_ins: Sequence[StandIn]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with standing_in(stand_ins) as urls:
        for name, url in urls.items():
            print(f"{name} on {url}", flush=True)
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="devstack.standins", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("file", type=Path, help="standins.yaml")
    file = parser.parse_args().file
    try:
        asyncio.run(_run(read_stand_ins(file)))
    except OSError as failed:
        sys.exit(f"{file}: a stand-in cannot listen: {failed.strerror or failed}")


if __name__ == "__main__":
    main()
