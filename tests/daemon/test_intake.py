from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from usbmux.daemon.intake import Intake
from usbmux.mux.packet_buffer import PacketBuffer

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 20000


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    near, far = socket.socketpair()
    near.setblocking(False)
    with near, far:
        yield near, far


def content(taken: bytes | PacketBuffer) -> bytes:
    return bytes(taken.data) if isinstance(taken, PacketBuffer) else taken


def test_nothing_there_it_would_block(pair: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(BlockingIOError):
        Intake(SIZE).receive(pair[0], SIZE)


def test_peer_has_ended_buffer_is_empty(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[1].close()
    assert len(Intake(SIZE).receive(pair[0], SIZE)) == 0


@pytest.mark.parametrize(
    ("there", "limit", "expected"),
    [(10, 20, 10), (10, 3, 3), (4095, SIZE, 4095), (4096, SIZE, 4096), (9999, 9000, 9000), (SIZE + 1, SIZE + 1, SIZE)],
)
def test_what_there_is_comes_up_to_the_limit_and_the_size_much_of_it_in_a_buffer(
    pair: tuple[socket.socket, socket.socket], there: int, limit: int, expected: int
) -> None:
    data = bytes(range(256)) * 100
    pair[1].send(data[:there])

    taken = Intake(SIZE).receive(pair[0], limit)

    assert isinstance(taken, PacketBuffer) == (expected >= 4096)
    assert content(taken) == data[:expected]
    assert len(taken) == expected


@pytest.mark.parametrize("count", [1, 4095, 4096, SIZE])
def test_what_was_taken_before_is_not_touched(pair: tuple[socket.socket, socket.socket], count: int) -> None:
    intake = Intake(SIZE)
    pair[1].send(b"a" * count)
    first = intake.receive(pair[0], SIZE)
    pair[1].send(b"b" * count)
    second = intake.receive(pair[0], SIZE)

    assert content(first) == b"a" * count
    assert content(second) == b"b" * count
