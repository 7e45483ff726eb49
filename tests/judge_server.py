"""A judge model that says what a test tells it to."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

Says = Callable[[dict[str, Any]], object]


@asynccontextmanager
async def judging(says: Says) -> AsyncIterator[tuple[str, list[dict[str, Any]]]]:
    """(base URL, the requests so far). `says` maps a request to the JSON of its answer; an int is an HTTP status."""
    asked: list[dict[str, Any]] = []

    async def chat(request: web.Request) -> web.Response:
        body = await request.json()
        asked.append(body)
        said = says(body)
        if isinstance(said, int):
            return web.json_response({"error": {"message": "no"}}, status=said)
        message = {"role": "assistant", "content": said if isinstance(said, str) else json.dumps(said)}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
        told = {"id": "1", "object": "chat.completion", "created": 1, "model": body["model"], "usage": usage}
        return web.json_response(told | {"choices": [choice]})

    app = web.Application(client_max_size=2**24)
    app.router.add_post("/v1/chat/completions", chat)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1", asked
    finally:
        await runner.cleanup()
