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

    async def goes_on() -> None:
        await asyncio.Event().wait()

    beside = Beside(lambda: pytest.fail("the operator was ended"))
    beside.start(done(), name="definitions")
    beside.start(goes_on(), name="pulse")
    await asyncio.sleep(0)
    beside.stop()
    await asyncio.sleep(0)

    assert caplog.text == ""
