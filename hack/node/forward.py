"""`python -m node.forward NETWORK LISTEN=TARGET …`, each HOST:PORT: hands connections on, as kube-proxy would.

What pods need of this machine listens on loopback, which they have one of their own of. Prometheus asks nobody who they
are, and where this listens neighbours may reach it, too: only who comes from NETWORK, the pods', is handed on.
"""

import asyncio
import sys
from contextlib import closing, suppress
from ipaddress import IPv4Network, ip_address


async def forward(listen: str, target: str, *, network: IPv4Network) -> None:
    """For ever."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(OSError):
            if ip_address(writer.get_extra_info("peername")[0]) not in network:
                return
            there, back = await asyncio.open_connection(*_parts(target))
            with closing(back):
                await asyncio.gather(_copy(reader, back), _copy(there, writer))

    server = await asyncio.start_server(serve, *_parts(listen))
    await server.serve_forever()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


def _parts(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


async def main(network: IPv4Network, pairs: list[str]) -> None:
    async with asyncio.TaskGroup() as group:
        for pair in pairs:
            listen, _, target = pair.partition("=")
            group.create_task(forward(listen, target, network=network))


if __name__ == "__main__":
    asyncio.run(main(IPv4Network(sys.argv[1]), sys.argv[2:]))
