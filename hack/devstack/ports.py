"""What a stack listens on: a slot of its own, with ports and a network of Service addresses that no other stack uses.

A slot is a number N from 16 to 249, held by listening on 127.N.0.1 for as long as the stack lives; the system lets go
of it when the process ends, however it ends. It comes with the ports 20000 + 50·(N − 16) and the 49 after it, below the
range from which systems take ports for outgoing connections, and with the addresses 127.N.0.0/16 for Services.
"""

import random
import socket
from collections.abc import Callable, Iterator
from typing import TypeVar

from devstack.component import Component
from devstack.errors import ComponentFailed, StackError
from devstack.sockets import is_free

_FIRST, _LAST, _PORTS_PER_SLOT, _LOWEST_PORT = 16, 249, 50, 20000
_GUARD_PORT = 20000
_ATTEMPTS = 4

C = TypeVar("C", bound=Component)


class Slot:
    """Holds number N until `release` or the end of the process."""

    def __init__(self, number: int, guard: socket.socket) -> None:
        self.number, self._guard = number, guard
        self._ports = self._walk_ports()
        self._addresses = iter(range(20, 250 * 250))

    @classmethod
    def take(cls) -> "Slot":
        numbers = list(range(_FIRST, _LAST + 1))
        random.shuffle(numbers)
        for number in numbers:
            guard = socket.socket()
            try:
                guard.bind((f"127.{number}.0.1", _GUARD_PORT))
                guard.listen()
            except OSError:
                guard.close()
            else:
                return cls(number, guard)
        raise StackError(
            "No slot for the stack: it needs to listen on some address from 127.16.0.1 to 127.249.0.1,"
            " which Linux allows and other systems do not."
        )

    @property
    def service_network(self) -> str:
        return f"127.{self.number}.0.0/16"

    def free_service_ip(self) -> str:
        """An address for one Service, on which its server then listens; never given twice."""
        high, low = divmod(next(self._addresses), 250)
        return f"127.{self.number}.{high}.{low + 1}"

    def free_port(self) -> int:
        """A port of this slot that nothing listens on at this moment; each call gives another one."""
        for _ in range(_PORTS_PER_SLOT):
            port = next(self._ports)
            if is_free(port):
                return port
        first = self._first_port
        raise StackError(f"All ports from {first} to {first + _PORTS_PER_SLOT - 1} are taken.")

    def release(self) -> None:
        self._guard.close()

    @property
    def _first_port(self) -> int:
        return _LOWEST_PORT + (self.number - _FIRST) * _PORTS_PER_SLOT

    def _walk_ports(self) -> Iterator[int]:
        while True:
            yield from range(self._first_port, self._first_port + _PORTS_PER_SLOT)


def start_on_free_ports(make: Callable[[Callable[[], int]], C], free_port: Callable[[], int]) -> C:
    """Makes a component and starts it; if a port was taken meanwhile, again with others, four times at most."""
    for attempt in range(1, _ATTEMPTS + 1):
        component = make(free_port)
        try:
            component.start()
        except ComponentFailed as failure:
            component.kill()
            if attempt == _ATTEMPTS or not failure.address_was_taken:
                raise
        else:
            return component
    raise AssertionError("unreachable")
