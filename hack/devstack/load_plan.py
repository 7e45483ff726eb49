"""What load to send, within bounds that keep a demo from hurting the machine that it runs on."""

from dataclasses import dataclass

from devstack.loopback import loopback_url

HIGHEST_RATE = 200.0
LONGEST_S = 3600.0
MOST_REQUESTS = 200_000
LONGEST_TIMEOUT_S = 30.0


class BadPlan(ValueError):
    """A plan outside the bounds; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What to send. BadPlan or NotLoopback if it is more than this tool does."""

    url: str
    """of the gateway, http://HOST:PORT, loopback only"""
    host: str
    """the Host header, by which the gateway finds the route"""
    model: str = "support"
    rate: float = 60.0
    """requests a second on average, in (0, 200]"""
    duration_s: float = 300.0
    """in (0, 3600]; rate × duration at most 200,000"""
    timeout_s: float = 10.0
    """when a client gives up, in (0, 30]"""
    stream_share: float = 0.3
    """of requests, that ask for a stream"""
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, most in (
            ("rate", self.rate, HIGHEST_RATE),
            ("duration", self.duration_s, LONGEST_S),
            ("timeout", self.timeout_s, LONGEST_TIMEOUT_S),
        ):
            if not 0 < value <= most:
                raise BadPlan(f"{name} must be above 0 and at most {most:g}, not {value:g}.")
        if self.rate * self.duration_s > MOST_REQUESTS:
            raise BadPlan(f"{self.rate:g}/s for {self.duration_s:g} s is more than {MOST_REQUESTS:,} requests.")
        if not 0 <= self.stream_share <= 1:
            raise BadPlan(f"the share of streams must be from 0 to 1, not {self.stream_share:g}.")
        loopback_url(self.url)
