"""``usbmux connect``: a port of the phone on stdin and stdout, fit for ssh's ProxyCommand."""

import math
import os
import select
import socket
import stat
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from usbmux.client.blocking import Client
from usbmux.commands.exits import LONGEST_WAIT_S, ExitCode, complain

_CHUNK_SIZE = 64 * 1024
_HANGUP = select.POLLHUP | select.POLLERR | select.POLLNVAL if hasattr(select, "poll") else 0


def connect(address: str | None, udid: str | None, port: int, quit_after_s: float | None) -> int:
    """Join stdin and stdout with the port until the phone ends the connection or nobody reads stdout.

    Args:
        address: The daemon's, or None for the default.
        udid: The phone's, or None for the only one.
        port: On the phone.
        quit_after_s: How long the phone may be silent after the end of stdin; None leaves that to the daemon.
    """
    return join_with_stdio("usbmux", lambda: Client(address).connect(udid, port), quit_after_s)


def join_with_stdio(program: str, dial: Callable[[], socket.socket], quit_after_s: float | None) -> int:
    """Join stdin and stdout with a connection until it ends or nobody reads stdout; see `connect`.

    Args:
        program: Begins every line on stderr.
        dial: Makes the connection.
        quit_after_s: As for `connect`.
    """
    if not hasattr(select, "poll"):
        complain(program, "this needs poll(), which this system lacks; forward a port instead")
        return ExitCode.FAILURE
    if sys.stdin is None or sys.stdout is None:
        complain(program, "this needs an open stdin and stdout")
        return ExitCode.USAGE
    with dial() as stream:
        pump = StdioPump(stream, sys.stdin.fileno(), sys.stdout.fileno(), quit_after_s)
        pump.run()
    if pump.was_reset:
        complain(program, "the connection was reset; some of what was sent may not have arrived")
        return ExitCode.FAILURE
    return ExitCode.OK


class StdioPump:
    """Moves bytes between a stream and two descriptors, both ways at once, in one thread.

    The descriptors stay in blocking mode, because that mode belongs to everybody who shares them (the shell's
    terminal, for one); so they are touched only when poll() says so, and written in pieces that then cannot block.

    Args:
        stream: The connection; made non-blocking.
        input_fd: Its end is passed on as a half-close.
        output_fd: When nobody reads it any more, `run` returns.
        quit_after_s: It also returns when the stream was silent for so long after the end of the input.
    """

    def __init__(self, stream: socket.socket, input_fd: int, output_fd: int, quit_after_s: float | None) -> None:
        stream.setblocking(False)
        self._stream = stream
        self._input_fd = input_fd
        self._output_fd = output_fd
        self._quit_after_s = quit_after_s
        # A regular file never blocks; a pipe takes this much when it is ready at all.
        self._write_size = _CHUNK_SIZE if stat.S_ISREG(os.fstat(output_fd).st_mode) else select.PIPE_BUF
        self._to_stream = memoryview(b"")
        self._to_output = memoryview(b"")
        self._input_is_open = True
        self._stream_is_open = True
        self._output_is_open = True
        self._stream_takes_bytes = True
        self.was_reset = False

    def run(self) -> None:
        """Return when everything the stream sent is written, the output is closed, or patience has ended."""
        # The stream is read only while nothing waits for the output, so its end comes last.
        while self._output_is_open and self._stream_is_open:
            ready = self._wait()
            if not ready:
                return
            if self._output_fd in ready:
                self._output_ready(ready[self._output_fd])
            if self._stream.fileno() in ready:
                self._stream_ready(ready[self._stream.fileno()])
            if self._input_fd in ready:
                self._input_ready()

    def _wait(self) -> dict[int, int]:
        poller = select.poll()
        # Without a wish for events poll() still reports that a pipe's reader left.
        poller.register(self._output_fd, select.POLLOUT if self._to_output else 0)
        wishes = (select.POLLIN if self._stream_is_open and not self._to_output else 0) | (
            select.POLLOUT if self._to_stream else 0
        )
        if wishes:
            poller.register(self._stream, wishes)
        if self._input_is_open and not self._to_stream:
            poller.register(self._input_fd, select.POLLIN)
        deadline = time.monotonic() + self._patience_s()
        while True:
            rest_s = max(0.0, deadline - time.monotonic())
            ready = poller.poll(min(rest_s, LONGEST_WAIT_S) * 1000)
            if ready or rest_s <= LONGEST_WAIT_S:
                return dict(ready)

    def _patience_s(self) -> float:
        if self._quit_after_s is None or self._input_is_open or self._to_stream or self._to_output:
            return math.inf
        return self._quit_after_s

    def _input_ready(self) -> None:
        try:
            data = os.read(self._input_fd, _CHUNK_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # a terminal that hung up
        if not data:
            self._input_is_open = False
            self._shut_down_writing()
        elif self._stream_takes_bytes:
            self._to_stream = memoryview(data)
            self._send()

    def _stream_ready(self, events: int) -> None:
        if self._to_stream and events & (select.POLLOUT | _HANGUP):
            self._send()
        if self._stream_is_open and not self._to_output and events & (select.POLLIN | _HANGUP):
            self._receive()

    def _send(self) -> None:
        try:
            sent = self._stream.send(self._to_stream)
        except BlockingIOError:
            return
        except OSError:
            # What the phone sent before it went may still be there to read.
            self.was_reset = True
            self._stream_takes_bytes = False
            self._to_stream = memoryview(b"")
            return
        self._to_stream = self._to_stream[sent:]

    def _shut_down_writing(self) -> None:
        with suppress(OSError):  # the stream may be gone already; reading it tells how
            self._stream.shutdown(socket.SHUT_WR)

    def _receive(self) -> None:
        try:
            data = self._stream.recv(_CHUNK_SIZE)
        except BlockingIOError:
            return
        except OSError:
            self.was_reset = True
            data = b""
        if data:
            self._to_output = memoryview(data)
        else:
            self._stream_is_open = False

    def _output_ready(self, events: int) -> None:
        if not self._to_output:
            self._output_is_open = not events & _HANGUP
            return
        try:
            written = os.write(self._output_fd, self._to_output[: self._write_size])
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            self._output_is_open = False
            return
        self._to_output = self._to_output[written:]
