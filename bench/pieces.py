"""What the pieces cost that a daemon is made of, on this machine.

    python -m bench.pieces [--document]

A ratio to a daemon in C is one of the interpreter's pieces to the kernel's. How these stand to each other differs from
machine to machine, and on a shared one from hour to hour.
"""

import argparse
import ctypes
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final

from bench.document import replace_figures
from bench.machine import machine_facts
from bench.profile import PAGE
from usbmux.values import frozen

_SEGMENT: Final = struct.Struct(">IIHHHHIIBBHHH")
"""A mux header of version 2 and a TCP header."""
_FIELDS: Final = tuple(range(13))
_TRIES: Final = 9
_TRY_S: Final = 0.02


def main() -> None:
    """Measure, print, and leave the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.pieces", description=__doc__.splitlines()[0])
    parser.add_argument("--document", action="store_true", help=f"write the table into {PAGE.name}")
    options = parser.parse_args()
    lines = [f"- {name}: {value}" for name, value in machine_facts().items()]
    for whose, pieces in (("interpreter", _interpreter()), ("kernel", _kernel()), ("start", _start())):
        lines += ["", f"| {whose} | microseconds |", "| --- | ---: |"]
        lines += [f"| {name} | {cost:.2f} |" for name, cost in pieces]
    print("\n".join(lines))
    if options.document:
        replace_figures(PAGE, "python -m bench.pieces --document", lines)


def _cost_us(do: Callable[[], object]) -> float:
    """The least of some tries, without the call of `do` itself."""
    return max(0.0, _least_us(do) - _least_us(lambda: None))


def _least_us(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    count = 0
    while time.perf_counter() - began < _TRY_S:
        do()
        count += 1
    return min(_time_us(do, count) for _ in range(_TRIES))


def _time_us(do: Callable[[], object], count: int) -> float:
    turns = range(count)
    began = time.perf_counter()
    for _ in turns:
        do()
    return (time.perf_counter() - began) / count * 1e6


def _interpreter() -> Iterator[tuple[str, float]]:
    data = bytearray(65_536)
    view, room = memoryview(data), memoryview(bytearray(65_536))
    library = ctypes.PyDLL(None)
    free = library.free
    free.restype = None
    nothing = ctypes.c_void_p(0)
    yield "unpack the headers of a segment", _cost_us(lambda: _SEGMENT.unpack_from(data))
    yield "pack them", _cost_us(lambda: _SEGMENT.pack_into(data, 0, *_FIELDS))
    yield "slice a view", _cost_us(lambda: view[28:1024])
    yield "call through ctypes, pointer ready", _cost_us(lambda: free(nothing))
    yield "copy 16 KiB", _cost_us(lambda: room.__setitem__(slice(16_384), view[:16_384]))


def _kernel() -> Iterator[tuple[str, float]]:
    one, other = socket.socketpair()
    with one, other, select.epoll() as poll:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        other.setblocking(False)
        room = bytearray(65_536)
        for data in (bytes(100), bytes(16_384), bytes(65_536)):
            yield f"send and receive {len(data):,} bytes", _cost_us(partial(_carry, one, other, data, room))
        one.send(b"x")
        poll.register(other, select.EPOLLIN)
        yield "epoll with a descriptor that is ready", _cost_us(lambda: poll.poll(0))


def _carry(one: socket.socket, other: socket.socket, data: bytes, room: bytearray) -> None:
    one.send(data)
    other.recv_into(room)


def _start() -> Iterator[tuple[str, float]]:
    yield "a class by dataclass(frozen=True, slots=True)", _cost_us(lambda: _make(dataclass(frozen=True, slots=True)))
    yield "a class by frozen", _cost_us(lambda: _make(frozen))
    yield "the interpreter alone, from start to end", _start_us("")
    yield "the interpreter with click", _start_us("import click")
    yield "usbmux version", _start_us("from usbmux.commands.start import usbmux; usbmux()", "version")


def _start_us(program: str, *arguments: str) -> float:
    command = [sys.executable, "-I", "-c", program, *arguments]
    return _least_us(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))


def _make(decorate: Callable[[type], type]) -> type:
    class Message:
        """Three fields, one with a default."""

        device_id: int
        name: str
        port: int = 0

    return decorate(Message)


if __name__ == "__main__":
    main()
