"""A model server for the local stack: the OpenAI chat API, vLLM's metrics, and faults on demand.

    python -m devstack.model_server --host 127.8.0.20 --port 8000 --model support --name llama-8b

It computes nothing: answers are canned sentences of as many tokens as were asked for, and take as long as a
model of the given speed would, on a clock that runs faster. Every answer says who gave it (`x-served-by`),
and unsafe ones say so (`x-answer-unsafe`), so that a client can tell what it got. `GET /control` shows the
faults in force, `PUT /control` changes the fields that it is given and leaves the others.
"""

import argparse
import asyncio
import json
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field

from aiohttp import web

from devstack.model_answers import (
    CANNED,
    UNSAFE,
    Answer,
    BadChat,
    ChatRequest,
    Known,
    Reply,
    Speed,
    answer,
    error_body,
    parse_chat,
)
from devstack.model_faults import BadControl, Fate, Faults, draw_fate
from devstack.model_logprobs import Logprobs, logprobs_of
from devstack.model_metrics import ModelMetrics
from devstack.open_files import allow_many_open_files
from devstack.request_record import SERVED_BY, UNSAFE_HEADER

LARGEST_BODY = 4 * 1024 * 1024
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Who a server is: the model name that clients send, its own name, its speed, its faults at the start."""

    model: str = "support"
    name: str = "model"
    speed: Speed = field(default_factory=Speed)
    faults: Faults = field(default_factory=Faults)
    seed: int = 0
    book: Callable[[str], Known | None] | None = None
    """answers to known questions, by the text of all messages; other questions get a canned answer"""
    logprobs: Logprobs = Logprobs.MISSING


class ModelServer:
    """The handlers of one server, and what they share."""

    def __init__(self, settings: ModelSettings) -> None:
        self.settings = settings
        self.faults = settings.faults
        self.metrics = ModelMetrics(settings.model)
        self._rng = random.Random(settings.seed)
        # Of its own, so that what else is drawn is as it was without it.
        self._checking = random.Random(f"{settings.seed} wrong")
        self._answered = 0
        self._asked = 0
        self._asked_last_at: float | None = None
        self._stopping = asyncio.Event()

    def app(self) -> web.Application:
        app = web.Application(client_max_size=LARGEST_BODY)
        app.router.add_post("/v1/chat/completions", self.chat)
        app.router.add_get("/v1/models", self.models)
        app.router.add_get("/health", self.health)
        app.router.add_get("/metrics", self.exposition)
        app.router.add_get("/seen", self.seen)
        app.router.add_get("/control", self.show_control)
        app.router.add_put("/control", self.change_control)
        app.on_response_prepare.append(self._sign)
        app.on_shutdown.append(self._stop)
        return app

    async def _sign(self, _: web.Request, response: web.StreamResponse) -> None:
        response.headers[SERVED_BY] = self.settings.name

    async def _stop(self, _: web.Application) -> None:
        self._stopping.set()

    async def health(self, _: web.Request) -> web.Response:
        return web.Response()

    async def exposition(self, _: web.Request) -> web.Response:
        return web.Response(body=self.metrics.text(), headers={"Content-Type": METRICS_TYPE})

    async def models(self, _: web.Request) -> web.Response:
        entry = {"id": self.settings.model, "object": "model", "created": 0, "owned_by": self.settings.name}
        return web.json_response({"object": "list", "data": [] if self.faults.unknown else [entry]})

    async def seen(self, _: web.Request) -> web.Response:
        """How many chat requests came, and when the last one did: clients cannot tell who left them hanging."""
        return web.json_response({"requests": self._asked, "last_request_at": self._asked_last_at})

    async def show_control(self, _: web.Request) -> web.Response:
        return web.json_response(asdict(self.faults))

    async def change_control(self, request: web.Request) -> web.Response:
        try:
            self.faults = self.faults.changed(await request.json())
        except BadControl as bad:
            return _error(400, "BadRequestError", f"{bad}.")
        except ValueError:
            return _error(400, "BadRequestError", "the body must be JSON.")
        return web.json_response(asdict(self.faults))

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """Answer, or do what the faults of this moment say instead."""
        arrived = time.monotonic()
        self._asked += 1
        self._asked_last_at = time.time()
        try:
            asked = parse_chat(await request.json())
        except BadChat as bad:
            return _error(400, "BadRequestError", f"{bad}.", bad.param)
        except ValueError:
            return _error(400, "BadRequestError", "the body must be JSON.")
        if asked.top_logprobs is not None and self.settings.logprobs is Logprobs.REFUSED:
            return _error(400, "BadRequestError", "logprobs are not supported by this model.", "logprobs")
        faults = self.faults
        if faults.unknown or asked.model != self.settings.model:
            return _error(404, "NotFoundError", f"The model `{asked.model}` does not exist.", "model")
        fate = draw_fate(faults, self._rng)
        canned = UNSAFE if fate.unsafe else CANNED[self._answered % len(CANNED)]
        with self.metrics.running.track_inprogress():
            if fate.hangs:
                return await self._hang(request)
            if fate.fails:
                return _error(500, "InternalServerError", "The engine failed, as it was told to.")
            known = self.settings.book(asked.text) if self.settings.book is not None and not fate.unsafe else None
            given = answer(canned, asked.max_tokens) if known is None else known.within(asked.max_tokens)
            slow = faults.slow_factor * (1.0 if known is None else known.slow)
            return await self._reply(request, arrived=arrived, asked=asked, fate=fate, given=given, slow=slow)

    async def _hang(self, request: web.Request) -> web.Response:
        # aiohttp cancels this when the client goes away; at a shutdown the connection is cut, not answered.
        await self._stopping.wait()
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=503)

    async def _reply(
        self,
        request: web.Request,
        *,
        arrived: float,
        asked: ChatRequest,
        fate: Fate,
        given: Answer,
        slow: float,
    ) -> web.StreamResponse:
        first_at = arrived + self.settings.speed.first_token_s(asked.prompt_tokens, slow)
        token_s = self.settings.speed.token_s(slow)
        self._answered += 1
        told = None
        if asked.top_logprobs is not None:
            told = logprobs_of(self.settings.logprobs, given.words, given.others, asked.top_logprobs)
        reply = Reply(f"chatcmpl-{self.settings.name}-{self._answered}", int(time.time()), asked, given, told)
        headers = {UNSAFE_HEADER: "1"} if fate.unsafe else {}
        response: web.StreamResponse
        if asked.stream:
            headers |= {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}
            response = web.StreamResponse(headers=headers)
            for tokens, event in reply.events():
                await _until(first_at + (tokens - 1) * token_s)
                if not response.prepared:
                    first_seen = time.monotonic()
                    await response.prepare(request)
                await response.write(event)
        else:
            await _until(first_at)
            first_seen = time.monotonic()
            await _until(first_at + (len(given.words) - 1) * token_s)
            response = web.json_response(reply.whole(), headers=headers)
        self.metrics.answered(
            prompt_tokens=asked.prompt_tokens,
            generated_tokens=len(given.words),
            first_token_s=first_seen - arrived,
            total_s=time.monotonic() - arrived,
            finish_reason=given.finish_reason,
        )
        if fate.verdict is not None:
            self.metrics.verdicts[fate.verdict].inc()
        self.metrics.checked.inc()
        if self._checking.random() < self.faults.wrong_rate:
            self.metrics.wrong.labels("made-up").inc()
        return response


async def _until(at: float) -> None:
    """Sleep until the monotonic clock shows `at`: late wake-ups do not add up over a stream."""
    delay = at - time.monotonic()
    if delay > 0:
        await asyncio.sleep(delay)


def _error(status: int, kind: str, message: str, param: str | None = None) -> web.Response:
    return web.json_response(error_body(status, kind, message, param), status=status)


@asynccontextmanager
async def serving(
    settings: ModelSettings, host: str = "127.0.0.1", port: int = 0, *, grace_s: float = 5.0
) -> AsyncIterator[tuple[ModelServer, str]]:
    """Serve while the block runs: (server, its URL). Port 0 takes a free one; OSError if it is taken.

    At the end answers under way get `grace_s` seconds to finish; requests told to hang get none.
    """
    server = ModelServer(settings)
    runner = web.AppRunner(
        server.app(),
        access_log=None,
        handler_cancellation=True,
        # Longer than any gateway keeps an idle connection (Go's default: 90 s). If the server were the first
        # to close one, a request just sent on it would fail for no fault of the gateway or of the model.
        keepalive_timeout=3600,
        shutdown_timeout=grace_s,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=1024)
        await site.start()
        bound = runner.addresses[0]
        shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        yield server, f"http://{shown}:{bound[1]}"
    finally:
        await runner.cleanup()


async def _run(settings: ModelSettings, host: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(settings, host, port) as (_, url):
        print(f"{settings.name} serves {settings.model} on {url}", flush=True)
        await stop.wait()


def parse_arguments(arguments: list[str] | None = None) -> tuple[ModelSettings, str, int]:
    """(settings, host, port) from the command line."""
    default = Speed()
    parser = argparse.ArgumentParser(prog="devstack.model_server", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (default 8000)")
    parser.add_argument("--model", default="support", help="the model name that clients send")
    parser.add_argument("--name", default="model", help="what x-served-by says")
    for option, value, text in (
        ("--tokens-per-second", default.tokens_per_second, "generated"),
        ("--prompt-tokens-per-second", default.prompt_tokens_per_second, "read"),
        ("--overhead", default.overhead_s, "seconds before the prompt is read"),
        ("--speed-up", default.speed_up, "how many times faster than a real model all of this runs"),
    ):
        parser.add_argument(option, type=_positive, default=value, help=f"{text} (default {value:g})")
    parser.add_argument("--seed", type=int, default=0, help="for everything that is drawn (default 0)")
    parser.add_argument(
        "--control",
        type=_faults,
        default=Faults(),
        metavar="JSON",
        help="faults from the start",
    )
    given = parser.parse_args(arguments)
    speed = Speed(given.tokens_per_second, given.prompt_tokens_per_second, given.overhead, given.speed_up)
    return ModelSettings(given.model, given.name, speed, given.control, given.seed), given.host, given.port


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
    return number


def _faults(text: str) -> Faults:
    try:
        return Faults().changed(json.loads(text))
    except BadControl as bad:
        raise argparse.ArgumentTypeError(str(bad)) from bad


def main() -> None:
    settings, host, port = parse_arguments()
    allow_many_open_files()
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(_run(settings, host, port))
    except OSError as failed:
        sys.exit(f"{settings.name} cannot listen on {host}:{port}: {failed.strerror or failed}")


if __name__ == "__main__":
    main()
