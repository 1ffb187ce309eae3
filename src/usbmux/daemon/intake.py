"""Where the input of clients is read to."""

import socket
from typing import Final

from usbmux.mux.packet_buffer import PacketBuffer

_WORTH_ITS_BUFFER: Final = 4096
"""From as many bytes on, input stays in the buffer that it was read to; less is copied."""


class Intake:
    """Reads from sockets into buffers that can be sent as they are. One serves all clients: nothing is kept in it.

    Args:
        size: Most that is read at once; what one packet for the phone takes.
    """

    def __init__(self, size: int) -> None:
        self.size: Final = size
        """Most that is read at once."""
        self._spare = PacketBuffer(size)

    def receive(self, sock: socket.socket, limit: int) -> bytes | PacketBuffer:
        """What the socket has now, at most `limit` bytes, and at most `size`; empty at its end.

        Raises:
            BlockingIOError: It has nothing now.
            OSError: It is broken.
        """
        buffer = self._spare
        count = sock.recv_into(buffer.space, limit if limit < self.size else self.size)
        if count < _WORTH_ITS_BUFFER:
            return bytes(buffer.space[:count])
        self._spare = PacketBuffer(self.size)
        buffer.filled(count)
        return buffer
