from __future__ import annotations

import os
import socket
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from usbmux.relay.pipe import Pipe, PipePool

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux moves bytes between sockets")
SIZE = 65536


@contextmanager
def pairs() -> Iterator[tuple[socket.socket, socket.socket, socket.socket, socket.socket]]:
    """Whoever writes, the source, the sink and whoever reads."""
    (writer, source), (sink, reader) = socket.socketpair(), socket.socketpair()
    with writer, source, sink, reader:
        for sock in (writer, source, sink, reader):
            sock.setblocking(False)
        yield writer, source, sink, reader


def taken(pool: PipePool) -> Pipe:
    pipe = pool.take()
    assert pipe is not None
    return pipe


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_pipe_closed_twice_descriptors_of_others_stay_open() -> None:
    pipe = Pipe(SIZE)
    pipe.close()
    others = socket.socketpair()  # which get the numbers that are free
    pipe.close()
    with others[0], others[1]:
        others[0].send(b"open")
        assert others[1].recv(4) == b"open"


def test_pipe_filled_gives_out_the_same_and_is_empty() -> None:
    with pairs() as (writer, source, sink, reader):
        pipe = Pipe(SIZE)
        writer.send(b"hello")
        assert pipe.fill(source) == pipe.waiting == 5
        assert pipe.drain(sink) == 5
        assert pipe.waiting == 0
        assert reader.recv(10) == b"hello"
        pipe.close()


def test_pipe_source_is_silent_fill_does_not_wait() -> None:
    with pairs() as (_writer, source, _sink, _reader):
        pipe = Pipe(SIZE)
        with pytest.raises(BlockingIOError):
            pipe.fill(source)
        assert pipe.waiting == 0
        pipe.close()


def test_pipe_source_has_ended_fill_gives_nothing() -> None:
    with pairs() as (writer, source, _sink, _reader):
        pipe = Pipe(SIZE)
        writer.shutdown(socket.SHUT_WR)
        assert pipe.fill(source) == 0
        pipe.close()


def test_pipe_takes_no_more_than_its_size() -> None:
    with pairs() as (writer, source, _sink, _reader):
        pipe = Pipe(4096)
        writer.send(bytes(10_000))
        count = pipe.fill(source)
        assert 0 < count <= 4096
        assert len(source.recv(10_000)) == 10_000 - count
        pipe.close()


def test_pipe_sink_is_full_what_waits_comes_later() -> None:
    with pairs() as (writer, source, sink, reader):
        pipe = Pipe(SIZE)
        filling = 0
        with suppress(BlockingIOError):
            while True:
                filling += sink.send(bytes(4096))
        writer.send(b"hello")
        pipe.fill(source)
        with pytest.raises(BlockingIOError):
            pipe.drain(sink)
        assert pipe.waiting == 5
        while filling:
            filling -= len(reader.recv(filling))
        assert pipe.drain(sink) == 5
        assert reader.recv(10) == b"hello"
        pipe.close()


def test_pool_gets_an_empty_pipe_back_and_gives_it_again() -> None:
    pool = PipePool(SIZE)
    pipe = taken(pool)
    pool.give_back(pipe)
    assert taken(pool) is pipe
    pipe.close()


def test_pool_gets_a_pipe_with_bytes_back_and_gives_another() -> None:
    with pairs() as (writer, source, sink, _reader):
        pool = PipePool(SIZE)
        pipe = taken(pool)
        writer.send(b"somebody else's")
        pipe.fill(source)
        pool.give_back(pipe)
        other = taken(pool)
        assert other.waiting == 0
        other.waiting = 1
        with pytest.raises(BlockingIOError):
            other.drain(sink)
        other.close()


def test_pool_closed_leaves_no_descriptor() -> None:
    before = open_descriptors()
    pool = PipePool(SIZE)
    for pipe in [taken(pool) for _ in range(3)]:
        pool.give_back(pipe)
    assert open_descriptors() == before + 2
    pool.close()
    assert open_descriptors() == before


def test_pool_system_has_no_pipe_gives_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_flags: int) -> None:
        raise OSError

    monkeypatch.setattr(os, "pipe2", fail)
    assert PipePool(SIZE).take() is None
    monkeypatch.delattr(os, "splice")
    assert PipePool(SIZE).take() is None
