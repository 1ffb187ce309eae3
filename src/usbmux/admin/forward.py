"""Forwards that the daemon keeps: what can be asked about them, and what it answers."""

from typing import Final, TypeAlias

from usbmux.values import frozen

MAX_FORWARDS: Final = 256
"""So many are kept at most."""


@frozen
class KeptForward:
    """Where the daemon listens for programs, and the port of a phone that they are joined with."""

    listen: str
    """``host:port``, with port 0 for any that is free; or ``unix:`` and a path."""
    port: int
    """Of the phone."""
    udid: str | None = None
    """Of the phone; None: the only one that is attached."""


@frozen
class ForwardStatus:
    """A forward that is kept, and how it is."""

    listen: str
    """As it is bound, and what it is called when it is to be removed."""
    port: int
    udid: str | None
    is_listening: bool
    is_attached: bool
    """Whether the phone is there, and no other that fits."""
    phones: int
    """How many fit: several only where none is named."""
    connections: int
    """Open now, those that wait for the phone included."""
    error: str | None = None
    """Why it does not listen; it is tried again and again."""


@frozen
class ForwardAddRequest:
    """Asks for forwards to be kept, all of them or none."""

    forwards: tuple[KeptForward, ...]


@frozen
class ForwardListRequest:
    """Asks which are kept."""


@frozen
class ForwardRemoveRequest:
    """Asks for forwards to be kept no more, all of them or none. Connections end with them."""

    listen: tuple[str, ...]


@frozen
class Forwards:
    """Those that were added, are kept, or were removed."""

    forwards: tuple[ForwardStatus, ...]


ForwardRequest: TypeAlias = ForwardAddRequest | ForwardListRequest | ForwardRemoveRequest
