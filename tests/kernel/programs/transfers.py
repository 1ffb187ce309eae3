"""Moves bytes to, from and through the ports of a phone: `transfers.py UDID LENGTH...`, and says what arrived wrong.

A LENGTH is that of a whole mux packet, headers included; so are the payloads chosen that a connection carries.
"""

from __future__ import annotations

import hashlib
import sys
import threading
import time
from typing import TYPE_CHECKING

from usbmux import Client

if TYPE_CHECKING:
    import socket

ECHO, SOURCE, DIGEST = 7, 19, 99
HEADERS_LENGTH = 36
COUNT_LENGTH = 8
WITHIN_S = 60.0
# What `source` sends, from its description.
PATTERN = hashlib.shake_128(b"usbmux source").digest(65521)


def main(udid: str, lengths: list[int]) -> int:
    client = Client(timeout_s=WITHIN_S)
    device = client.device(udid)
    failures = 0
    started = time.monotonic()
    for length in lengths:
        payload = pattern(length - HEADERS_LENGTH)
        for check in (sink, source, echo):
            with client.connect(device, {sink: DIGEST, source: SOURCE, echo: ECHO}[check]) as connection:
                connection.settimeout(WITHIN_S)
                problem = check(connection, payload)
            if problem:
                failures += 1
                print(f"{check.__name__} of a packet of {length}: {problem}")
    elapsed_s = time.monotonic() - started
    print(f"checked {len(lengths)} lengths in {elapsed_s:.2f} s, {failures} failures")
    return 1 if failures else 0


def sink(connection: socket.socket, payload: bytes) -> str | None:
    """The phone tells the digest of what reached it. The count is part of the packet."""
    payload = payload[COUNT_LENGTH:]
    connection.sendall(len(payload).to_bytes(COUNT_LENGTH, "big") + payload)
    received = receive(connection, 32)
    return None if received == hashlib.sha256(payload).digest() else f"the phone's digest is {received.hex()}"


def source(connection: socket.socket, payload: bytes) -> str | None:
    """The phone sends a packet of that length, then ends the connection."""
    connection.sendall(len(payload).to_bytes(COUNT_LENGTH, "big"))
    received = receive(connection, len(payload) + 1)
    return difference(received, payload)


def echo(connection: socket.socket, payload: bytes) -> str | None:
    """The phone sends back what it gets, while it gets it."""
    sender = threading.Thread(target=connection.sendall, args=(payload,), daemon=True)
    sender.start()
    received = receive(connection, len(payload))
    sender.join(WITHIN_S)
    return difference(received, payload)


def receive(connection: socket.socket, length: int) -> bytes:
    """So many bytes, or those before the end of the stream or an error."""
    received = bytearray()
    try:
        while len(received) < length and (data := connection.recv(length - len(received))):
            received += data
    except OSError as error:
        print(f"after {len(received)} of {length} bytes: {error!r}")
    return bytes(received)


def difference(received: bytes, expected: bytes) -> str | None:
    if received == expected:
        return None
    return f"{len(received)} bytes came, digest {digest(received)}, not {len(expected)}, digest {digest(expected)}"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def pattern(length: int) -> bytes:
    return (PATTERN * (length // len(PATTERN) + 1))[:length]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], [int(text) for text in sys.argv[2:]]))
