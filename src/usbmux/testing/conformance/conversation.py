"""A blocking connection to the server under test: raw bytes out, frames and endings back."""

import socket
from contextlib import suppress
from typing import Final, Self

from usbmux.control.frame import MAX_REPLY_LENGTH, FrameReader
from usbmux.deadlines import deadline_after, set_deadline
from usbmux.testing.conformance.answer import Answer, Ending, describe, is_notification
from usbmux.testing.conformance.request import TAG

MOST_NOTIFICATIONS: Final = 1000
"""More than a server has phones."""
_READ_SIZE: Final = 65536


class Conversation:
    """One connection; a context that closes it.

    Args:
        stream: Connected; closed with the conversation.
        timeout_s: How long each answer may take.
    """

    def __init__(self, stream: socket.socket, timeout_s: float) -> None:
        self._stream = stream
        self._timeout_s = timeout_s
        self._reader = FrameReader(MAX_REPLY_LENGTH)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def send(self, data: bytes) -> None:
        """Send bytes. A server that takes no more is no error: its answer tells."""
        set_deadline(self._stream, deadline_after(self._timeout_s))
        with suppress(OSError):
            self._stream.sendall(data)

    def finish_sending(self) -> None:
        """Shut down the writing side."""
        with suppress(OSError):
            self._stream.shutdown(socket.SHUT_WR)

    def next_answer(self) -> Answer:
        """The next frame, or why there is none.

        Raises:
            RemoteProtocolError: A frame with an impossible length.
        """
        deadline = deadline_after(self._timeout_s)
        while (frame := self._reader.next_frame()) is None:
            data = self._receive(_READ_SIZE, deadline)
            if isinstance(data, Ending):
                return data
            self._reader.receive_data(data)
        return frame

    def answer(self, tag: int = TAG) -> str:
        """`next_answer` in words."""
        return describe(self.next_answer(), tag)

    def ask(self, request: bytes, tag: int = TAG) -> str:
        """Send a request and say what came."""
        self.send(request)
        return self.answer(tag)

    def answer_past_notifications(self) -> str:
        """What came behind the notifications."""
        for _ in range(MOST_NOTIFICATIONS):
            if not is_notification(answer := self.next_answer()):
                return describe(answer, TAG)
        return "notifications without end"

    def answers_of_one_read(self) -> list[Answer]:
        """The whole frames that a single read gives."""
        data = self._receive(_READ_SIZE, deadline_after(self._timeout_s))
        if isinstance(data, Ending):
            return [data]
        self._reader.receive_data(data)
        frames: list[Answer] = []
        while (frame := self._reader.next_frame()) is not None:
            frames.append(frame)
        return frames

    def receive_exactly(self, length: int) -> bytes:
        """That many bytes of a stream to the phone, or fewer if no more came."""
        received = bytearray(self._reader.take_rest())
        deadline = deadline_after(self._timeout_s)
        while len(received) < length:
            data = self._receive(length - len(received), deadline)
            if isinstance(data, Ending):
                break
            received += data
        return bytes(received)

    def _receive(self, length: int, deadline: float) -> bytes | Ending:
        set_deadline(self._stream, deadline)
        try:
            return self._stream.recv(length) or Ending.CLOSED
        except (TimeoutError, BlockingIOError):
            return Ending.SILENT
        except OSError:
            return Ending.CLOSED
