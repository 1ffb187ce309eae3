"""QEMU's own socket for commands (QMP): plugs in and pulls out what QEMU emulates."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import socket

ANSWER_WITHIN_S = 30.0


class Monitor:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        connection.settimeout(ANSWER_WITHIN_S)
        self._stream = connection.makefile("rb")
        assert "QMP" in self._receive()
        self.execute("qmp_capabilities")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stream.close()
        self._connection.close()

    def execute(self, command: str, **arguments: str | int) -> Any:
        """What QEMU returns; AssertionError if it is an error."""
        request = {"execute": command, "arguments": arguments}
        self._connection.sendall(json.dumps(request).encode() + b"\n")
        while "event" in (answer := self._receive()):
            pass
        assert "return" in answer, f"{request} got {answer}"
        return answer["return"]

    def plug(self, name: str, driver: str, controller: str) -> None:
        self.execute("device_add", driver=driver, id=name, bus=f"{controller}.0")

    def unplug(self, name: str) -> None:
        self.execute("device_del", id=name)

    def _receive(self) -> dict[str, Any]:
        line = self._stream.readline()
        assert line, "QEMU has closed its monitor"
        message: dict[str, Any] = json.loads(line)
        return message
