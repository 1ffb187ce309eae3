"""The process that plays the devices for the preloaded fake usbfs (fake.h), over a Unix socket.

The process under test runs with `environment`; every device plugged into a `UsbfsHost` is then a device on its bus.
Frames: 16 bytes (length, type, detail, device, tag, value; little-endian) and `length` bytes of payload.
"""

import asyncio
import shutil
import struct
import subprocess
from contextlib import suppress
from enum import IntEnum
from pathlib import Path

from tests.usb.usbfs.device import Call, Transfer, UsbfsDevice

_HEADER = struct.Struct("<IBBHIi")
_SOURCES = ("bridge.c", "udev.c", "usbfs.c")


class Frame(IntEnum):
    """Types of frames; the same numbers as in fake.h."""

    OPENED = 1
    CLOSED = 2
    SUBMITTED = 3
    DISCARDED = 4
    CALLED = 5
    ATTACH = 16
    DISCONNECT = 17
    REMOVE = 18
    LISTED = 19
    COMPLETE = 20
    REPLY = 21
    CONFIGURED = 22
    FAIL_OPEN = 23
    FAIL_SUBMIT = 24


def build_preload(directory: Path) -> Path | None:
    """Compile the library to preload; None where there is no C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    library = directory / "libfakeusbfs.so"
    sources = [str(Path(__file__).with_name(name)) for name in _SOURCES]
    options = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-U_FORTIFY_SOURCE"]
    subprocess.run([compiler, *options, "-o", str(library), *sources, "-ldl", "-lpthread"], check=True)
    return library


def environment(library: Path, socket: Path, *, has_udev: bool = True) -> dict[str, str]:
    """The variables with which a process sees the devices behind `socket`."""
    variables = {"LD_PRELOAD": str(library), "FAKE_USBFS_SOCKET": str(socket)}
    if not has_udev:
        variables["FAKE_USBFS_WITHOUT_UDEV"] = "1"
    return variables


class UsbfsHost:
    """Serves the devices that are plugged in to every process that connects."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._devices: dict[int, UsbfsDevice] = {}
        self._listed: set[int] = set()
        self._open_errors: dict[int, int] = {}
        self._hanging: list[tuple[int, int, int, int, int]] = []
        self._next_id = 0
        self._next_address = 1

    async def start(self, socket: Path) -> None:
        """Listen at a path."""
        self._server = await asyncio.start_unix_server(self._serve, socket)

    async def close(self) -> None:
        """Hang up: to the processes, every device is gone."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.close()
        await self._is_idle.wait()

    def plug(self, device: UsbfsDevice, *, is_told: bool = True) -> None:
        """Put a device on the bus, under a new address; `is_told`: udev says so."""
        self._next_id = self._next_id % 31 + 1
        device.address, self._next_address = self._next_address, self._next_address + 1
        self._devices.pop(self._next_id, None)
        self._open_errors.pop(self._next_id, None)
        self._devices[self._next_id] = device
        self._listed.add(self._next_id)
        device.plugged(self)
        self._send_all(Frame.ATTACH, self._next_id, payload=_attach_payload(device), detail=not is_told)

    def disconnect(self, device: UsbfsDevice) -> None:
        """Fail all transfers as after an unplug; nobody is told."""
        device.unplugged()
        self._send_all(Frame.DISCONNECT, self._id_of(device))

    def remove(self, device: UsbfsDevice, *, is_told: bool = True) -> None:
        """Take a device off the list of devices; `is_told`: udev says so."""
        number = self._id_of(device)
        self._listed.discard(number)
        self._send_all(Frame.REMOVE, number, detail=not is_told)

    def unplug(self, device: UsbfsDevice) -> None:
        """Pull the plug."""
        self.disconnect(device)
        self.remove(device)

    def fail_open(self, device: UsbfsDevice, error: int) -> None:
        """Let opening the node fail with an errno; 0 lets it succeed again."""
        self._open_errors[self._id_of(device)] = error
        self._send_all(Frame.FAIL_OPEN, self._id_of(device), value=error)

    def fail_submit(self, device: UsbfsDevice, error: int) -> None:
        """Let submitting a URB fail with an errno; 0 lets it succeed again."""
        self._send_all(Frame.FAIL_SUBMIT, self._id_of(device), value=error)

    @property
    def hanging_count(self) -> int:
        """Number of ioctls that do not return."""
        return len(self._hanging)

    def release_calls(self) -> None:
        """Let all ioctls return that hang."""
        hanging, self._hanging = self._hanging, []
        for frame, detail, number, tag, value in hanging:
            self._devices[number].hangs_in = None
            self._received(frame, detail, number, tag, value, b"")

    def complete(self, device: UsbfsDevice, tag: int, status: int, data: bytes, actual_length: int) -> None:
        """End a URB."""
        payload = actual_length.to_bytes(4, "little") + data
        self._send_all(Frame.COMPLETE, self._id_of(device), tag, status, payload)

    def configured(self, device: UsbfsDevice) -> None:
        """Show the configuration in sysfs."""
        self._send_all(Frame.CONFIGURED, self._id_of(device), value=device.configuration)

    def _id_of(self, device: UsbfsDevice) -> int:
        # The last one: a device that was plugged in again has a new number.
        return [number for number, known in self._devices.items() if known is device][-1]

    def _send_all(
        self, frame: Frame, number: int, tag: int = 0, value: int = 0, payload: bytes = b"", *, detail: bool = False
    ) -> None:
        for writer in self._writers:
            writer.write(_HEADER.pack(len(payload), frame, detail, number, tag, value) + payload)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in sorted(self._listed):
            payload = _attach_payload(self._devices[number])
            writer.write(_HEADER.pack(len(payload), Frame.ATTACH, 0, number, 0, 0) + payload)
            writer.write(_HEADER.pack(0, Frame.FAIL_OPEN, 0, number, 0, self._open_errors.get(number, 0)))
        writer.write(_HEADER.pack(0, Frame.LISTED, 0, 0, 0, 0))
        self._writers.add(writer)
        self._is_idle.clear()
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    header = await reader.readexactly(_HEADER.size)
                    length, frame, detail, number, tag, value = _HEADER.unpack(header)
                    payload = await reader.readexactly(length)
                    self._received(frame, detail, number, tag, value, payload)
        finally:
            self._writers.discard(writer)
            writer.close()
            if not self._writers:
                self._is_idle.set()

    def _received(self, frame: int, detail: int, number: int, tag: int, value: int, payload: bytes) -> None:
        device = self._devices[number]
        match frame:
            case Frame.OPENED:
                device.open_count += 1
            case Frame.CLOSED:
                device.open_count -= 1
                device.closed()
            case Frame.SUBMITTED:
                device.submitted(Transfer(tag, detail, payload[0], payload[1], value, payload[2:]))
            case Frame.DISCARDED:
                device.discarded(tag)
            case Frame.CALLED if device.hangs_in is Call(detail):
                self._hanging.append((frame, detail, number, tag, value))
            case Frame.CALLED:
                error, text = device.called(Call(detail), value)
                self._send_all(Frame.REPLY, number, tag, error, text)
            case _:
                raise ValueError(f"unexpected frame {frame}")


def _attach_payload(device: UsbfsDevice) -> bytes:
    name = device.name.encode()
    head = struct.pack("<BBBBII", 1, device.address, device.configuration, len(name), device.speed, device.capabilities)
    return head + name + device.kind.descriptors()
