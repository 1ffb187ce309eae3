"""Bytes, where they come from and whether they came back."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
import time

MEBIBYTE = 1 << 20


def some_bytes(length: int) -> bytes:
    """Bytes in which no part looks like another; the same at every call."""
    return random.Random(length).randbytes(length)


def digest(data: bytes | bytearray | memoryview) -> str:
    return hashlib.sha256(data).hexdigest()


def free_port() -> int:
    """A loopback port that nobody listens on, for programs that cannot choose one themselves."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def receive_exactly(connection: socket.socket, length: int) -> bytes:
    """That many bytes, or fewer if the stream ends before."""
    received = bytearray()
    while len(received) < length and (data := connection.recv(min(MEBIBYTE, length - len(received)))):
        received += data
    return bytes(received)


def connected(port: int, *, within_s: float = 30.0) -> socket.socket:
    """A connection to a loopback port of a program that does not say, or says too early, that it listens."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), within_s)
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)  # there is no event to wait for


def echoed(connection: socket.socket, data: bytes) -> bytes:
    """What an echo at the other end of `connection` answers to `data`, which is sent while the answer comes in."""
    with connection:
        sender = threading.Thread(target=connection.sendall, args=(data,), daemon=True)
        sender.start()
        received = receive_exactly(connection, len(data))
        sender.join(connection.gettimeout())
        return received


def echoed_in_turns(connection: socket.socket, data: bytes, turn_length: int = 65536) -> bytes:
    """As `echoed`, but each piece is sent when the one before has come back, so that little is under way."""
    received = bytearray()
    with connection:
        for start in range(0, len(data), turn_length):
            connection.sendall(data[start : start + turn_length])
            received += receive_exactly(connection, min(turn_length, len(data) - start))
    return bytes(received)
