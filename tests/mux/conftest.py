from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

pytest.register_assert_rewrite("tests.mux.wire")

from tests.mux.wire import Wire  # noqa: E402 - only now, or its assertions would not explain themselves

if TYPE_CHECKING:
    from collections.abc import Iterator

    from usbmux.mux.connection import TcpConnection
    from usbmux.mux.settings import MuxSettings

LAST_WORDS = b"last words"


class MakesWire(Protocol):
    def __call__(self, settings: MuxSettings | None = None, *, version: int = 2) -> Wire: ...


@pytest.fixture
def make_wire() -> Iterator[MakesWire]:
    """Makes wires before the handshake; each script must end in silence."""
    wires: list[Wire] = []

    def make(settings: MuxSettings | None = None, *, version: int = 2) -> Wire:
        wires.append(Wire(settings, version=version))
        return wires[-1]

    yield make
    for wire in wires:
        wire.expect_nothing()


@pytest.fixture
def wire(make_wire: MakesWire) -> Wire:
    """A wire to a session that is READY, in version 2."""
    wire = make_wire()
    wire.shake_hands()
    return wire


@pytest.fixture
def syn_sent(wire: Wire) -> TcpConnection:
    """The first connection of `wire`; its SYN has been sent."""
    return wire.connect()


@pytest.fixture
def established(wire: Wire) -> TcpConnection:
    """The first connection of `wire`, ESTABLISHED; nothing was sent yet."""
    return wire.establish()


@pytest.fixture
def half_closed(wire: Wire, established: TcpConnection) -> TcpConnection:
    """The first connection of `wire`; the client has shut down writing before it wrote anything."""
    wire.shutdown_write(established)
    return established


@pytest.fixture
def draining(wire: Wire, established: TcpConnection) -> TcpConnection:
    """The first connection of `wire`; the client wrote ten bytes, which were sent, and is gone."""
    wire.send(established, LAST_WORDS)
    wire.expect(seq=1, payload=LAST_WORDS)
    wire.close(established)
    return established
