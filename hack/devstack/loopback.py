"""Load goes to this machine only."""

import ipaddress
import socket

from yarl import URL


class NotLoopback(ValueError):
    """A URL that load must not be sent to; the message is one sentence."""


def loopback_url(text: str) -> URL:
    """The URL with its host replaced by the loopback address it resolves to, so that it cannot resolve anew.

    Every address of the host must be in 127.0.0.0/8 or be ::1, or NotLoopback is raised.
    """
    try:
        url = URL(text)
        port = url.port
    except ValueError as bad:
        raise NotLoopback(f"{text!r} is not a URL: {bad}.") from bad
    if url.scheme != "http" or not url.host or port is None:
        raise NotLoopback(f"load is sent to http://HOST:PORT on this machine only, not to {text!r}.")
    try:
        found = socket.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except OSError as unknown:
        raise NotLoopback(f"{url.host} does not resolve, and load is sent to loopback only.") from unknown
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        if not _is_loopback(address):
            raise NotLoopback(f"{url.host} is {address}, and load is sent to loopback only.")
    return url.with_host(addresses[0])


def _is_loopback(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        return ip == ipaddress.IPv6Address("::1")
    return ip in ipaddress.IPv4Network("127.0.0.0/8")
