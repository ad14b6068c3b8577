"""How many connections there are, in all and from one address, and who gives way where they are too many."""

import logging
import time
from ipaddress import IPv6Address, ip_address, ip_network
from itertools import chain
from typing import Protocol

from serve.errors import ApiError

HEALTH_ROOM = 16
"""Connections beyond each bound, which may ask for /health alone: a full server still says that it lives."""

LOG_SECONDS = 60
"""How often the log says that connections are refused: whoever opens them must not fill the disk."""

log = logging.getLogger(__name__)


class Guest(Protocol):
    """One connection, from an address."""

    address: str

    def give_way(self) -> None:
        """Close at once."""


class Crowd:
    """The connections of one server.

    One that waits (for a head, between two requests, for a body that nobody wants any more) costs its client
    nothing, so it gives way to a new one, the longest first; after those one whose request still comes. One
    whose request is all here stays.
    """

    def __init__(self, most: int, most_of_one: int) -> None:
        """At most `most` requests are under way at a time, and `most_of_one` of one address."""
        self._all = _Share(most)
        self._most_of_one = most_of_one
        self._of: dict[str, _Share] = {}
        self._logged = float("-inf")

    def __len__(self) -> int:
        return len(self._all.open)

    def admit(self, guest: Guest) -> ApiError | None:
        """Let a new connection in, where need be for another one; else say why not."""
        shares = (self._of.get(guest.address) or _Share(self._most_of_one), self._all)
        for share in shares:
            if share.is_full() and not self._make_room(share):
                return self._refused(share)
        self._of[guest.address] = shares[0]
        for share in shares:
            share.open[guest] = share.waiting[guest] = None
        return None

    def asks(self, guest: Guest, health: bool) -> ApiError | None:
        """A request of this connection begins to come; why it cannot, where too many are under way."""
        for share in self._shares(guest):
            if share.is_busy() and not health:
                return self._refused(share)
            share.waiting.pop(guest, None)
            share.sending[guest] = None
        return None

    def works(self, guest: Guest) -> None:
        """Its request is all here."""
        for share in self._shares(guest):
            share.sending.pop(guest, None)

    def waits(self, guest: Guest) -> None:
        """It does nothing that anybody would miss, from now on."""
        for share in self._shares(guest):
            share.sending.pop(guest, None)
            share.waiting.pop(guest, None)
            share.waiting[guest] = None

    def leaves(self, guest: Guest) -> None:
        for share in self._shares(guest):
            for those in (share.open, share.waiting, share.sending):
                those.pop(guest, None)
        if (own := self._of.get(guest.address)) and not own.open:
            del self._of[guest.address]

    def _shares(self, guest: Guest) -> "tuple[_Share, ...]":
        """What it is counted in; nothing once it has left."""
        return (self._of[guest.address], self._all) if guest in self._all.open else ()

    def _make_room(self, share: "_Share") -> bool:
        oldest = next(chain(share.waiting, share.sending), None)
        if oldest is None:
            return False
        self.leaves(oldest)
        oldest.give_way()
        return True

    def _refused(self, share: "_Share") -> ApiError:
        whose = "This server" if share is self._all else "Your address"
        error = ApiError(
            f"{whose} has {share.most} requests under way, as many as it may; wait until one ends.",
            status=503 if share is self._all else 429,
            code="too_many_connections",
            type="server_error" if share is self._all else "invalid_request_error",
        )
        if time.monotonic() - self._logged > LOG_SECONDS:
            self._logged = time.monotonic()
            log.warning("connections are refused: %s", error)
        return error


class _Share:
    """Connections that are bounded together; those that can give way in the order in which they may."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.open: dict[Guest, None] = {}
        self.waiting: dict[Guest, None] = {}
        self.sending: dict[Guest, None] = {}

    def is_full(self) -> bool:
        return len(self.open) >= self.most + HEALTH_ROOM

    def is_busy(self) -> bool:
        return len(self.open) - len(self.waiting) - len(self.sending) >= self.most


def address_of(client: tuple[str, int] | None) -> str:
    """What counts as one address: of IPv6 a network of 64 bits, which is what one user is given."""
    if client is None:
        return ""  # a Unix socket has none
    try:
        address = ip_address(client[0])
    except ValueError:
        return client[0]
    if not isinstance(address, IPv6Address):
        return str(address)
    return str(address.ipv4_mapped or ip_network((int(address), 64), strict=False))
