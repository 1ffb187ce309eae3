"""A capture into a file, beside everything else."""

import threading
from contextlib import ExitStack
from typing import Final

from usbmux.admin.message import CaptureFormat
from usbmux.capture.pcapng_reader import PcapngReader
from usbmux.client.admin import AdminClient
from usbmux.commands.capture_file import opened, write_all
from usbmux.commands.exits import LONGEST_WAIT_S
from usbmux.errors import UsbmuxError

_LAST_S: Final = 3.0
"""How long the daemon may take to send what is left, when the end is wanted."""


class BackgroundCapture:
    """Writes from the start on, in a thread of its own, until `stop` or the end of the daemon.

    Args:
        client: Of the daemon.
        udid: The phone's; None for all phones.
        path: Of the file, which must not be there yet.

    Raises:
        UsbmuxError: There is no daemon, or the file cannot be made.
    """

    def __init__(self, client: AdminClient, udid: str | None, path: str) -> None:
        self.path: Final = path
        self.error: str | None = None
        """Why it ended before its time, if it did."""
        self._reader: Final = PcapngReader()
        with ExitStack() as stack:
            self._connection = stack.enter_context(client.capture(udid, CaptureFormat.PCAPNG))
            self._descriptor = stack.enter_context(opened(path, must_be_new=True))
            self._resources = stack.pop_all()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()

    @property
    def packets(self) -> int:
        """How many are in the file."""
        return self._reader.packets

    def stop(self) -> None:
        """End it. The file is whole, unless the daemon does not answer any more."""
        self._is_stopping = True
        self._connection.stop()
        self._thread.join(_LAST_S)

    def _run(self) -> None:
        with self._resources:
            try:
                while (data := self._connection.read(LONGEST_WAIT_S)) != b"":
                    if data is not None:
                        write_all(self._descriptor, self._reader.receive_data(data), self.path)
            except UsbmuxError as error:
                self.error = str(error)
            else:
                if not self._is_stopping:
                    self.error = "the daemon has ended the capture"
