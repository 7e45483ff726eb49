"""Slots, ports and Service addresses of the local stack."""

import ipaddress
import itertools
import socket
from pathlib import Path

import pytest

from devstack.component import Component
from devstack.errors import ComponentFailed
from devstack.ports import Slot, start_on_free_ports
from devstack.sockets import is_free


class _Fails(Component):
    """A component whose start fails as its log says, or not at all if there is nothing in the log."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.killed = False

    def start(self) -> None:
        if self.log.exists():
            raise ComponentFailed("prometheus", "ended with code 1", self.log)

    def kill(self) -> None:
        self.killed = True


def test_two_slots_share_no_port_and_no_service_address() -> None:
    first, second = Slot.take(), Slot.take()
    try:
        assert first.number != second.number
        assert not {first.free_port() for _ in range(20)} & {second.free_port() for _ in range(20)}
        assert ipaddress.ip_address(first.free_service_ip()) not in ipaddress.ip_network(second.service_network)
    finally:
        first.release()
        second.release()


def test_a_service_address_is_given_once_and_lies_in_the_slots_network() -> None:
    slot = Slot.take()
    slot.release()

    given = [ipaddress.ip_address(slot.free_service_ip()) for _ in range(1000)]

    assert len(set(given)) == 1000
    assert all(address in ipaddress.ip_network(slot.service_network) for address in given)
    # The API server gives this one to Service default/kubernetes.
    assert ipaddress.ip_address(f"127.{slot.number}.0.1") not in given


def test_a_port_that_something_listens_on_is_passed_over() -> None:
    slot = Slot.take()
    with socket.create_server(("127.0.0.1", slot.free_port())) as taken:
        port = taken.getsockname()[1]

        around = [slot.free_port() for _ in range(60)]

        assert not is_free(port)
        assert port not in around
    slot.release()


def test_a_port_taken_in_between_is_replaced_by_another(tmp_path: Path) -> None:
    log = tmp_path / "prometheus.log"
    log.write_text("listen tcp 127.0.0.1:20001: bind: address already in use\n")
    tried: list[int] = []
    numbers = itertools.count(20001)

    def make(free_port: object) -> _Fails:
        assert callable(free_port)
        tried.append(free_port())
        return _Fails(log if len(tried) < 3 else tmp_path / "none")

    start_on_free_ports(make, lambda: next(numbers))

    assert tried == [20001, 20002, 20003]


def test_a_port_that_is_always_taken_is_an_error_after_four_attempts(tmp_path: Path) -> None:
    log = tmp_path / "prometheus.log"
    log.write_text("bind: address already in use\n")
    made: list[_Fails] = []

    def make(_free_port: object) -> _Fails:
        made.append(_Fails(log))
        return made[-1]

    with pytest.raises(ComponentFailed, match="address already in use"):
        start_on_free_ports(make, lambda: 20001)

    assert [component.killed for component in made] == [True] * 4


def test_another_failure_is_not_tried_again(tmp_path: Path) -> None:
    log = tmp_path / "prometheus.log"
    log.write_text("error loading config\n")
    made: list[_Fails] = []

    def make(_free_port: object) -> _Fails:
        made.append(_Fails(log))
        return made[-1]

    with pytest.raises(ComponentFailed, match="error loading config"):
        start_on_free_ports(make, lambda: 20001)

    assert len(made) == 1
