"""What runs beside kopf ends with the operator, and the operator with what fails there."""

from __future__ import annotations

import asyncio

import pytest

from modelroute.controller.beside import Beside


async def test_a_task_that_fails_ends_the_operator_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        raise TypeError("nobody foresaw this")

    ended = asyncio.Event()
    Beside(ended.set).start(fails(), name="resync")
    await asyncio.wait_for(ended.wait(), 5)

    assert "resync failed, so this process ends" in caplog.text
    assert "nobody foresaw this" in caplog.text


async def test_a_task_that_is_done_or_stopped_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def done() -> None:
        return None

    stopped: list[str] = []

    async def goes_on() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append("pulse")

    ends: list[str] = []
    beside = Beside(lambda: ends.append("the operator"))
    beside.start(done(), name="definitions")
    beside.start(goes_on(), name="pulse")
    await asyncio.sleep(0)
    beside.stop()
    for _ in range(5):  # the tasks' ends, and what is called back for each
        await asyncio.sleep(0)

    assert (stopped, ends) == (["pulse"], [])
    assert caplog.text == ""
