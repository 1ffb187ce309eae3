from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from usbmux.daemon.intake import Intake

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 20000


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    near.setblocking(False)
    with near, far:
        yield near, far


def test_nothing_there_it_would_block(pair: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(BlockingIOError):
        Intake(SIZE).receive(pair[0], SIZE)


def test_peer_has_ended_buffer_is_empty(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[1].close()
    assert len(Intake(SIZE).receive(pair[0], SIZE)) == 0


@pytest.mark.parametrize(
    ("there", "limit", "expected"), [(10, 20, 10), (10, 3, 3), (9999, 9000, 9000), (SIZE + 1, SIZE + 1, SIZE)]
)
def test_buffer_holds_what_there_is_up_to_the_limit_and_the_size(
    pair: tuple[socket.socket, socket.socket], there: int, limit: int, expected: int
) -> None:
    data = bytes(range(256)) * 100
    pair[1].send(data[:there])

    buffer = Intake(SIZE).receive(pair[0], limit)

    assert buffer.data == data[:expected]
    assert len(buffer) == expected


@pytest.mark.parametrize("count", [1, 4095, 4096, SIZE])
def test_buffers_taken_before_are_not_touched(pair: tuple[socket.socket, socket.socket], count: int) -> None:
    intake = Intake(SIZE)
    pair[1].send(b"a" * count)
    first = intake.receive(pair[0], SIZE)
    pair[1].send(b"b" * count)
    second = intake.receive(pair[0], SIZE)

    assert first.data == b"a" * count
    assert second.data == b"b" * count


def test_little_input_holds_little_memory(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[1].send(b"little")
    packet = Intake(SIZE).receive(pair[0], SIZE).packet
    assert isinstance(packet.obj, bytearray)
    assert len(packet.obj) < 100
