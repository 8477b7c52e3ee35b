"""Who gets the events: leases that any message renews. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from rwkv_music.timebase import NS_PER_S

Address = tuple[str, int]
LEASE_NS = 60 * NS_PER_S
MOST_SUBSCRIBERS = 16


@dataclass(slots=True)
class _Lease:
    expires_ns: int
    asked_ns: int  # when it last subscribed


class Subscribers:
    """Event ports, each with a lease of 60 s. One thread.

    Any message from a host renews the leases of that host: a script that sends from a new port
    each time keeps its event port alive. When there are too many, the one that has not asked for
    the longest time makes room.
    """

    def __init__(self, most: int = MOST_SUBSCRIBERS) -> None:
        self._leases: dict[Address, _Lease] = {}
        self._most = most

    def add(self, address: Address, now_ns: int) -> None:
        """Subscribe, or subscribe again."""
        self._leases[address] = _Lease(now_ns + LEASE_NS, now_ns)
        if len(self._leases) > self._most:
            del self._leases[min(self._leases, key=lambda a: self._leases[a].asked_ns)]

    def remove(self, address: Address) -> None:
        self._leases.pop(address, None)

    def renew(self, host: str, now_ns: int) -> None:
        """A message came from this host."""
        for (subscriber_host, _), lease in self._leases.items():
            if subscriber_host == host and lease.expires_ns > now_ns:
                lease.expires_ns = now_ns + LEASE_NS

    def current(self, now_ns: int) -> list[Address]:
        """Where events go now; leases that have ended are dropped."""
        for address in [a for a, lease in self._leases.items() if lease.expires_ns <= now_ns]:
            del self._leases[address]
        return list(self._leases)
