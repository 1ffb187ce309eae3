"""The screen of ``usbmux top``, with made-up phones."""

import math
from collections.abc import Iterator

from scripts.screenshots.svg import self_contained
from usbmux.admin.message import (
    ClientActivity,
    ClientStatus,
    ConnectionState,
    ConnectionStatus,
    PhoneState,
    PhoneStatus,
    Status,
    StatusPart,
)
from usbmux.commands.top.model import TopModel
from usbmux.commands.top.sample import Sample
from usbmux.commands.top.screen import Capture, TopApp

SIZE = (132, 30)
_ANNA, _LAB, _OLD = "00008110-000A1D2E3F4B5C6D", "00008030-001A2B3C4D5E6F01", "5f0d6e1a9c3b7d2e4f8a0b6c1d9e3f7a5b2c8d4e"
_NAMES = {_ANNA: "Anna's iPhone", _LAB: "lab 7"}
_SECONDS = 40


class MadeUp:
    """A minute in which somebody copies files from one phone and tests with another. Implements `Source`."""

    def __init__(self) -> None:
        self._samples = self._made_up()
        self.kicked: list[int] = []

    def sample(self) -> Sample:
        return next(self._samples)

    def kick(self, client: int) -> bool:
        self.kicked.append(client)
        return client == 12

    def capture(self, udid: str | None, path: str) -> Capture:
        raise NotImplementedError  # nobody presses `w` here

    def interrupt(self) -> None:
        pass

    def _made_up(self) -> Iterator[Sample]:
        model = TopModel()
        second = 0
        while True:
            yield model.take(_status(second), _NAMES, float(second))
            second += 1


def sample_after(seconds: int = _SECONDS) -> tuple[MadeUp, Sample]:
    """What is shown after so many seconds, and where it goes on."""
    source = MadeUp()
    sample = source.sample()
    for _ in range(seconds):
        sample = source.sample()
    return source, sample


async def draw_top() -> str:
    """The screen, as SVG."""
    source, sample = sample_after()
    app = TopApp(source, sample, period_s=3600)
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("d")
        await pilot.pause()
        return self_contained(app.export_screenshot(title="usbmux top"))


def _status(second: int) -> Status:
    copied = sum(_copied_in(past) for past in range(second))
    tested = 40_000 * second
    phones = (
        PhoneStatus(
            *(PhoneState.ATTACHED, "1-2", _ANNA, 0x12A8, 5_000_000_000, 3, 1),
            bytes_to_phone=copied // 100,
            bytes_from_phone=copied,
        ),
        PhoneStatus(
            *(PhoneState.ATTACHED, "1-4.1", _LAB, 0x12A8, 480_000_000), device_id=9, attach_count=7,
            reconnects_last_hour=6, bytes_to_phone=tested * 20, bytes_from_phone=tested,
            last_error="the phone has left the bus",
        ),
        PhoneStatus(
            *(PhoneState.QUARANTINED, "1-4.10", _OLD, 0x12A8, 480_000_000),
            last_error="another program has claimed the interface", next_try_s=8.0,
        ),
    )  # fmt: skip
    clients = (
        ClientStatus(3, "unix:/run/usbmuxd", ClientActivity.LISTENING, 90_000.0, 501, 20, 812, "Finder"),
        ClientStatus(12, "unix:/run/usbmuxd", ClientActivity.STREAM, 61.0 + second, 501, 20, 4711, "ifuse"),
        ClientStatus(14, "unix:/run/usbmuxd", ClientActivity.STREAM, 600.0 + second, 1000, 1000, 4790, "usbmux"),
        ClientStatus(15, "127.0.0.1:27015", ClientActivity.STREAM, 22.0 + second),
    )
    connections = (
        ConnectionStatus(
            *(12, _ANNA, 49160, 4, ConnectionState.ESTABLISHED, 61.0 + second, 131072),
            bytes_to_phone=copied // 100, bytes_from_phone=copied, backlog=65536,
            client_stalls=second, client_stalled_s=0.35 * second,
        ),
        ConnectionStatus(
            *(14, _LAB, 8100, 2, ConnectionState.ESTABLISHED, 600.0 + second, 0),
            bytes_to_phone=tested * 20, bytes_from_phone=tested, phone_stalls=second, phone_stalled_s=0.9 * second,
        ),
        ConnectionStatus(15, _LAB, 62078, 3, ConnectionState.HALF_CLOSED, 22.0 + second, 131072, 812, 1733),
    )  # fmt: skip
    return Status("0.1.0", phones, clients, connections, parts=tuple(StatusPart))


def _copied_in(second: int) -> int:
    return int(24e6 + 12e6 * math.sin(second / 5))
