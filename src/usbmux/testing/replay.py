"""A phone that repeats a recording, as far as the host repeats it too."""

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Self

from usbmux.capture.recording import RecordedLink, read_recording
from usbmux.errors import RemoteProtocolError, UsbmuxError
from usbmux.testing.replay_script import ReplayScript, read_script
from usbmux.testing.replayed_link import ReplayedLink
from usbmux.usb.pipe import UsbDeviceInfo

_MAX_PACKET_SIZES: Final = ((5_000_000_000, 1024), (480_000_000, 512), (0, 64))


class ReplayedDevice:
    """A `UsbFunction` that says what a recorded phone said, packet for packet and in the same transfers.

    Each packet waits until the host has come as far as it was in the recording: it has sent its part of the
    handshake, the SYN, as many bytes, or its RST, and its window has room. Times are not repeated. The host may choose
    other ports, divide its data otherwise and acknowledge at other times; all else is a departure. One that has to
    do with a connection costs that connection: it is reset, and the rest of the recording goes on without it.

    Args:
        links: What was recorded; those to one phone, each in turn whenever the pipe is opened.

    Raises:
        UsbmuxError: There is none, they are of several phones, or the host sent in one what no host of ours sends.
    """

    def __init__(self, links: Sequence[RecordedLink]) -> None:
        udids = {link.info.serial_number for link in links}
        if len(udids) != 1:
            raise UsbmuxError(f"expected the links of one phone, found {', '.join(sorted(udids)) or 'none'}")
        self.departures: list[str] = []
        """Where the host departed from the recording, in words, since the phone was made."""
        self._info = links[0].info
        self._scripts = deque(map(_read_script, range(len(links)), links))
        self._replay: ReplayedLink | None = None
        self._pieces: list[bytes] = []

    @classmethod
    def load(cls, path: str | Path, udid: str | None = None) -> Self:
        """The phone of a file that ``usbmuxd --record`` wrote; `udid` chooses among several.

        Raises:
            UsbmuxError: The file cannot be read or understood, or has not exactly one such phone.
        """
        links = read_recording(path)
        return cls([link for link in links if udid in (None, link.info.serial_number)])

    @property
    def info(self) -> UsbDeviceInfo:
        """Who it is."""
        return self._info

    @property
    def max_packet_size(self) -> int:
        """The bulk endpoints' wMaxPacketSize at the recorded speed, in bytes."""
        return next(size for speed, size in _MAX_PACKET_SIZES if self._info.connection_speed >= speed)

    @property
    def waits_for(self) -> str | None:
        """What has to happen before the next recorded packet is sent; None if all of this link were sent."""
        if self._replay is None:
            return "the host to open the pipe" if self._scripts else None
        return self._replay.waits_for

    def connected(self, send: Callable[[bytes], None]) -> None:
        """The host opened the pipe; called by the bus."""
        self._pieces.clear()
        self._replay = None
        if not self._scripts:
            self.departures.append("the host opened the pipe once more than in the recording")
            return
        self._replay = ReplayedLink(self._scripts.popleft(), send, self.departures)
        self._replay.play()

    def bulk_out(self, data: bytes) -> None:
        """The host sent something; called by the bus."""
        self._pieces.append(data)
        if len(data) % self.max_packet_size or not data:
            packet = b"".join(self._pieces)
            self._pieces.clear()
            if self._replay is not None and packet:
                self._replay.receive(packet)

    def disconnected(self) -> None:
        """The pipe is closed or the phone unplugged; called by the bus."""


def _read_script(number: int, link: RecordedLink) -> ReplayScript:
    try:
        return read_script(link)
    except RemoteProtocolError as error:
        raise UsbmuxError(f"link {number}, {error}") from error
