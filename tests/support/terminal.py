"""A terminal of which the test is the person: presses keys, and looks at the screen."""

from __future__ import annotations

import asyncio
import codecs
import fcntl
import os
import re
import signal
import struct
import termios
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

WITHIN_S: Final = 40.0
_PIECE: Final = re.compile(
    r"\x1b\[(?P<parameters>[0-?]*)[ -/]*(?P<final>[@-~])"
    r"|\x1b[\]P_^].*?(?:\x07|\x1b\\)|\x1b[^\[\]P_^]|(?P<control>[\x00-\x1f])|(?P<text>[^\x00-\x1f]+)",
    re.DOTALL,
)


def screen_of(output: str, columns: int, rows: int) -> list[str]:
    """What the output leaves on an empty screen, as far as places and clearing go; lines without spaces at the end."""
    lines = [[" "] * columns for _ in range(rows)]
    row = column = 0
    for piece in _PIECE.finditer(output):
        if (text := piece["text"]) is not None:
            for character in text:
                if row < rows and column < columns:
                    lines[row][column] = character
                column += 1
        elif piece["control"] in ("\r", "\n"):
            row, column = (row, 0) if piece["control"] == "\r" else (row + 1, column)
        elif piece["final"] == "H":
            row, column = (int(number or 1) - 1 for number in f"{piece['parameters']};".split(";")[:2])
        elif piece["final"] == "J":
            lines = [[" "] * columns for _ in range(rows)]
    return ["".join(line).rstrip() for line in lines]


class Terminal:
    """Use `on_terminal` to make one."""

    def __init__(self, ours: int, theirs: int, process: asyncio.subprocess.Process, size: tuple[int, int]) -> None:
        self.process: Final = process
        self.output = ""
        """All that the program has written."""
        self._ours: Final = ours
        self._theirs: Final = theirs
        self._size = size
        self._drawn_from = 0
        self._more: Final = asyncio.Event()
        self._decoder: Final = codecs.getincrementaldecoder("utf-8")()

    @property
    def screen(self) -> str:
        """As it is now."""
        return "\n".join(screen_of(self.output[self._drawn_from :], *self._size))

    @property
    def attributes(self) -> list[object]:
        """How the terminal treats what is typed and written."""
        return list(termios.tcgetattr(self._theirs))

    async def wait_for(self, pattern: str) -> re.Match[str]:
        """Until it is on the screen."""
        try:
            async with asyncio.timeout(WITHIN_S):
                while (found := re.search(pattern, self.screen)) is None:
                    await self._more.wait()
                    self._more.clear()
                return found
        except TimeoutError:
            raise AssertionError(f"{pattern!r} is not on the screen:\n{self.screen}") from None

    async def wait_for_output(self, text: str) -> None:
        """Until the program has written it."""
        async with asyncio.timeout(WITHIN_S):
            while text not in self.output:
                await self._more.wait()
                self._more.clear()

    async def wait_gone(self, pattern: str) -> None:
        """Until it is not on the screen any more."""
        await self.wait_for(rf"\A(?!(?s:.)*{pattern})(?s:.)*\S")

    def press(self, keys: str) -> None:
        """Type them."""
        os.write(self._ours, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Pull at the corner of the window. What is on the screen is from now on only what is drawn after that."""
        self._size, self._drawn_from = (columns, rows), len(self.output)
        _set_size(self._ours, columns, rows)
        self.process.send_signal(signal.SIGWINCH)

    def read(self) -> None:
        """Take what has come."""
        try:
            while data := os.read(self._ours, 1 << 16):
                self.output += self._decoder.decode(data)
                self._more.set()
        except BlockingIOError:
            return


@asynccontextmanager
async def on_terminal(
    *command: str, environment: Mapping[str, str], size: tuple[int, int] = (120, 30)
) -> AsyncIterator[Terminal]:
    """Start a program on a terminal; it is killed at the end if it still runs."""
    ours, theirs = os.openpty()
    os.set_blocking(ours, False)
    _set_size(ours, *size)
    process = await asyncio.create_subprocess_exec(
        *command, stdin=theirs, stdout=theirs, stderr=theirs, env={**environment, "TERM": "xterm-256color"}
    )
    terminal = Terminal(ours, theirs, process, size)
    loop = asyncio.get_running_loop()
    loop.add_reader(ours, terminal.read)
    try:
        yield terminal
    finally:
        loop.remove_reader(ours)
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(theirs)
        os.close(ours)


def _set_size(descriptor: int, columns: int, rows: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
