"""All model servers of the soak in one process: 200 of them would be 200 interpreters.

python -m tests.bench.soak.farm '[{"ip": "127.20.0.21", "name": "good-a", "faults": {"fail_rate": 0.01}}]'
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import AsyncExitStack

from devstack.model_answers import Speed
from devstack.model_faults import Faults
from devstack.model_server import ModelSettings, serving
from devstack.open_files import allow_many_open_files
from devstack.scene import MODEL_PORT, SERVED_MODEL


async def _run(servers: list[dict[str, object]]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as running:
        for place, each in enumerate(servers):
            settings = ModelSettings(
                SERVED_MODEL, str(each["name"]), Speed(), Faults().changed(each["faults"]), seed=place
            )
            await running.enter_async_context(serving(settings, str(each["ip"]), MODEL_PORT, grace_s=0.5))
        print(f"{len(servers)} servers", flush=True)
        await stop.wait()


def main() -> None:
    allow_many_open_files()
    asyncio.run(_run(json.loads(sys.argv[1])))


if __name__ == "__main__":
    main()
