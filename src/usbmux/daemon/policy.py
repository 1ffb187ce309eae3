"""Who may do what: rules of the administrator, and the view of the daemon that a client gets by them."""

import re
from collections.abc import Iterable
from enum import IntEnum
from fnmatch import fnmatchcase
from typing import Final

from usbmux.daemon.peer import Peer
from usbmux.values import frozen

_DASH_OR_RANGE: Final = re.compile(r"-|\[[^]]+\]")
ALL_PORTS: Final = ((0, 65535),)


class RecordAccess(IntEnum):
    """What may be done with pair records; each includes those before it."""

    NONE = 0
    READ = 1
    WRITE = 2
    """Save and delete."""


@frozen
class Permission:
    """What somebody may see and use."""

    udids: tuple[str, ...] = ("*",)
    """Patterns with ``*``, ``?`` and ``[...]``; dashes and upper or lower case make no difference."""
    ports: tuple[tuple[int, int], ...] = ALL_PORTS
    """Ranges of ports of the phone, both ends included."""
    records: RecordAccess = RecordAccess.WRITE

    def covers_phone(self, udid: str) -> bool:
        """Whether the phone is among them."""
        plain = _plain(udid)
        return any(fnmatchcase(plain, _plain(pattern)) for pattern in self.udids)

    def covers_port(self, port: int) -> bool:
        """Whether the port is among them."""
        return any(first <= port <= last for first, last in self.ports)


NOTHING: Final = Permission(udids=(), ports=(), records=RecordAccess.NONE)


@frozen
class Rule:
    """A permission, and for whom it is: for everybody if neither users nor groups are named."""

    permission: Permission
    uids: frozenset[int] = frozenset()
    gids: frozenset[int] = frozenset()

    def is_for(self, peer: Peer) -> bool:
        """Whether it decides about that client. A client that is not known is nobody in particular."""
        is_for_all = not self.uids and not self.gids
        return is_for_all or peer.uid in self.uids or not self.gids.isdisjoint(peer.groups)


@frozen
class View:
    """The daemon as one client may see and use it: what all of the permissions allow."""

    permissions: tuple[Permission, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nothing is hidden."""
        return not self.permissions

    def shows(self, udid: str) -> bool:
        """Whether the client may know of the phone."""
        return not self.permissions or all(permission.covers_phone(udid) for permission in self.permissions)

    def allows_port(self, port: int) -> bool:
        """Whether the client may connect to that port of a phone that it may know of."""
        return not self.permissions or all(permission.covers_port(port) for permission in self.permissions)

    def allows_records(self, wanted: RecordAccess) -> bool:
        """Whether the client may do that with pair records."""
        return all(permission.records >= wanted for permission in self.permissions)


WHOLE_VIEW: Final = View()


class Policy:
    """The rules, in order. The first that is for a client decides; without any rule everything is allowed."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._rules: Final = tuple(rules)

    def view(self, peer: Peer, socket_permission: Permission | None = None) -> View:
        """What that client sees at a socket that shows no more than `socket_permission`."""
        permissions = () if socket_permission is None else (socket_permission,)
        if self._rules:
            decided = next((rule.permission for rule in self._rules if rule.is_for(peer)), NOTHING)
            permissions = (*permissions, decided)
        return View(permissions) if permissions else WHOLE_VIEW


def _plain(udid: str) -> str:
    """In capitals and without dashes, but for those of a range such as ``[0-9]``."""
    return _DASH_OR_RANGE.sub(lambda found: "" if found[0] == "-" else found[0], udid).upper()
