"""The screen without a terminal: what it draws, and what keys do."""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from scripts.screenshots.top import sample_after
from tests.commands.top.made_up import ANNA, CLIENT, CONNECTION, LAB, LISTENER, NAMES, OTHER, PHONE, status
from tests.support.svg_text import lines_of
from usbmux.commands.top.model import TopModel
from usbmux.commands.top.sample import Sample
from usbmux.commands.top.screen import TopApp
from usbmux.errors import UsbmuxError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from textual.pilot import Pilot

    from usbmux.commands.top.screen import Source

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

EVERYTHING = TopModel().take(status(OTHER, PHONE, CLIENT, LISTENER, CONNECTION), NAMES, 0.0)
WITHOUT_ANNA = TopModel().take(status(OTHER, LISTENER), NAMES, 0.0)


@dataclass
class FixedCapture:
    path: str
    packets: int = 5
    error: str | None = None
    is_stopped: bool = False

    def stop(self) -> None:
        self.is_stopped = True


@dataclass
class FixedSource:
    """Says what it is told to say, and notes what is asked for."""

    now: Sample = EVERYTHING
    error: str | None = None
    kicked: list[int] = field(default_factory=list)
    captures: list[tuple[str | None, FixedCapture]] = field(default_factory=list)
    interrupted: bool = False

    def sample(self) -> Sample:
        self._fail_if_told()
        return self.now

    def kick(self, client: int) -> bool:
        self._fail_if_told()
        self.kicked.append(client)
        return client == CLIENT.number

    def capture(self, udid: str | None, path: str) -> FixedCapture:
        self._fail_if_told()
        capture = FixedCapture(path)
        self.captures.append((udid, capture))
        return capture

    def interrupt(self) -> None:
        self.interrupted = True

    def _fail_if_told(self) -> None:
        if self.error is not None:
            raise UsbmuxError(self.error)


@asynccontextmanager
async def shown(source: Source, sample: Sample = EVERYTHING) -> AsyncIterator[tuple[TopApp, Pilot[int]]]:
    """It looks when it is told to, and not by itself."""
    app = TopApp(source, sample, period_s=3600)
    async with app.run_test(size=(132, 24), notifications=True) as pilot:
        await pilot.pause()
        yield app, pilot


def text(app: TopApp) -> str:
    return "\n".join(lines_of(app.export_screenshot()))


async def press(app: TopApp, pilot: Pilot[int], *keys: str) -> str:
    """The screen when all that the keys have begun is over."""
    for key in keys:
        await pilot.press(key)
        await pilot.pause()
    for _ in range(2):  # a key begins two calls at most, one after the other
        await app._aside(lambda: None)
        await pilot.pause()
    return text(app)


async def test_phones_are_busy_all_of_it_is_on_the_screen() -> None:
    source, sample = sample_after(20)
    async with shown(source, sample) as (app, _pilot):
        lines = text(app).splitlines()
    assert lines[0] == "usbmuxd 0.1.0  to phones 967 kB/s, from phones 16.7 MB/s"
    assert lines[1].startswith("╭─ phones 3 ─")
    assert [line[2:110].rstrip() for line in lines[2:6]] == [
        "PORT    STATE        NAME           TO PHONE              FROM PHONE              CONNS  STALLED  AGAIN/H  S",
        "1-2     attached     Anna's iPhone  167 kB/s  ███▇▇▆▆▆▅▅   16.7 MB/s  ███▇▇▆▆▆▅▅      1        1        0  5",
        "1-4.1   attached     lab 7          800 kB/s  ██████████   40.0 kB/s  ██████████      2        1        6  4",
        "1-4.10  quarantined  -                 0 B/s  ▁▁▁▁▁▁▁▁▁▁       0 B/s  ▁▁▁▁▁▁▁▁▁▁      0        0        0  4",
    ]
    assert lines[8].startswith("╭─ clients 4 ─")
    assert [line[2:80].rstrip() for line in lines[9:14]] == [
        "CLIENT  PROGRAM   PID   UID  STATE        PHONE           PORT  TO PHONE",
        "     3  Finder    812   501  listening    -                  -         -",
        "    12  ifuse    4711   501  established  Anna's iPhone  49160  167 kB/s  ███▇",
        "    14  usbmux   4790  1000  established  lab 7           8100  800 kB/s  ████",
        "    15  -           -     -  half_closed  lab 7          62078     0 B/s  ▁▁▁▁",
    ]
    assert lines[-1] == " q Quit  / Filter  s Order  d Details  k Kick client  w Capture phone  W Capture all"


async def test_sample_is_another_the_chosen_row_stays_chosen() -> None:
    source = FixedSource()
    async with shown(source) as (app, pilot):
        await press(app, pilot, "d", "down")
        assert f"UDID         {LAB}" in text(app)
        source.now = WITHOUT_ANNA
        await app.look()
        await pilot.pause()
        assert f"UDID         {LAB}" in text(app)
        source.now = EVERYTHING
        await app.look()
        assert f"UDID         {LAB}" in await press(app, pilot)
        assert f"UDID         {ANNA}" in await press(app, pilot, "up")


async def test_nothing_is_left_details_say_so() -> None:
    source = FixedSource(Sample("9"))
    async with shown(source) as (app, pilot):
        await press(app, pilot, "d")
        await app.look()
        assert "nothing is chosen" in await press(app, pilot)
        for key in ("k", "tab", "k", "down", "enter"):
            assert "End client" not in await press(app, pilot, key)


async def test_table_of_clients_is_chosen_details_are_of_the_client() -> None:
    async with shown(FixedSource()) as (app, pilot):
        screen = await press(app, pilot, "d", "tab")
        assert "Program     ssh, pid 4711, uid 501, gid 20" in screen
        assert f"Phone       {ANNA}, Anna's iPhone" in screen
        assert "Stalls      now -; in all 0 in 0.0 s by the phone, 0 in 0.0 s by the client" in screen
        assert "Program  Finder, pid 812" in await press(app, pilot, "down")
        assert "Program" not in await press(app, pilot, "d")


async def test_order_is_changed_it_is_said() -> None:
    async with shown(FixedSource()) as (app, pilot):
        assert "by bytes per second" in await press(app, pilot, "s")
        assert "by stalls and reconnects" in await press(app, pilot, "s", "s")
        assert "  by " not in await press(app, pilot, "s")


async def test_words_are_typed_and_entered_they_stay_until_escape() -> None:
    async with shown(FixedSource()) as (app, pilot):
        screen = await press(app, pilot, "slash", "a", "n", "n", "a", "enter")
        assert "phones 1 of 2" in screen
        assert "with 'anna'" in screen
        assert "clients 1 of 2" in screen
        assert LAB not in screen
        assert "phones 2 " in await press(app, pilot, "escape")


async def test_client_is_to_be_kicked_only_y_does_it() -> None:
    source = FixedSource()
    async with shown(source) as (app, pilot):
        for key in ("n", "enter", "escape", "q"):
            assert "End client 7 (ssh, pid 4711), connected to port 22 of" in await press(app, pilot, "k")
            assert "End client" not in await press(app, pilot, key)
        assert source.kicked == []
        assert "client 7 was ended" in await press(app, pilot, "k", "y")
        assert "client 8 had gone already" in await press(app, pilot, "tab", "down", "k", "y")
    assert source.kicked == [7, 8]


async def test_kick_fails_it_is_said_and_it_goes_on() -> None:
    source = FixedSource()
    async with shown(source) as (app, pilot):
        await press(app, pilot, "k")
        source.error = "the daemon [bold] hung up"
        assert "the daemon [bold] hung up" in await press(app, pilot, "y")
        assert "phones 2" in text(app)


async def test_capture_of_the_chosen_phone_is_begun_and_ended_by_the_same_key() -> None:
    source = FixedSource()
    async with shown(source) as (app, pilot):
        assert f"crosses to and from {ANNA}" in await press(app, pilot, "w")
        assert f"capturing to {ANNA}.pcapng: 5 packets" in await press(app, pilot, "enter")
        ((udid, capture),) = source.captures
        assert (udid, capture.is_stopped) == (ANNA, False)
        screen = await press(app, pilot, "w")
        assert capture.is_stopped
        assert "5 packets are in" in screen
        assert "capturing to" not in screen


async def test_capture_of_all_is_under_way_at_the_end_it_is_stopped() -> None:
    source = FixedSource()
    async with shown(source) as (app, pilot):
        await press(app, pilot, "W", "enter")
        ((udid, capture),) = source.captures
        assert (udid, capture.path, capture.is_stopped) == (None, "phones.pcapng", False)
        capture.error = "no space left"
        await app.look()
        assert "capture: no space left" in await press(app, pilot)
    assert capture.is_stopped
    assert source.interrupted


async def test_capture_is_not_possible_or_not_wanted_there_is_none() -> None:
    source = FixedSource()
    async with shown(source) as (app, pilot):
        await press(app, pilot, "w", "escape")
        assert source.captures == []
        await press(app, pilot, "w")
        source.error = "cannot write it"
        screen = await press(app, pilot, "enter")
        assert "cannot write it" in screen
        assert "capturing to" not in screen


async def test_daemon_is_gone_it_is_said_until_it_is_back() -> None:
    source = FixedSource()
    async with shown(source) as (app, pilot):
        source.error = "no daemon \x1b[2J"
        await app.look()
        screen = await press(app, pilot)
        assert screen.splitlines()[0] == "no daemon ?[2J; trying again"
        assert "phones 0" in screen
        source.error = None
        await app.look()
        assert "phones 2" in await press(app, pilot)


@pytest.mark.parametrize("dialog", ["", "k", "w", "slash"])
async def test_ctrl_c_comes_wherever_it_ends_it(dialog: str) -> None:
    async with shown(FixedSource()) as (app, pilot):
        await press(app, pilot, *filter(None, [dialog]), "ctrl+c")
    assert app.return_value == 130


async def test_names_of_phones_look_like_markup_they_are_shown_as_they_are() -> None:
    phone = replace(PHONE, last_error="[red]x[/]")
    sample = TopModel().take(status(phone), {ANNA: "[bold]A[/]"}, 0.0)
    async with shown(FixedSource(sample), sample) as (app, pilot):
        screen = await press(app, pilot, "d")
    assert "last error: [red]x[/]" in screen
    assert screen.count("[bold]A[/]") == 2


class SilentSource(FixedSource):
    """Answers nothing until it is interrupted."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked = threading.Event()
        self.may_end = threading.Event()

    def sample(self) -> Sample:
        self.is_asked.set()
        assert self.may_end.wait(20)
        raise UsbmuxError("interrupted")

    def interrupt(self) -> None:
        self.may_end.set()


async def test_daemon_does_not_answer_q_ends_it_all_the_same() -> None:
    source = SilentSource()
    app = TopApp(source, EVERYTHING, period_s=0)
    async with app.run_test() as pilot:
        while not source.is_asked.is_set():
            await pilot.pause()
        await pilot.press("q")
    assert app.return_value == 0
    assert source.may_end.is_set()


async def test_picture_for_the_pages_is_drawn_it_needs_nothing_from_elsewhere() -> None:
    from scripts.screenshots.top import draw_top

    drawing = await draw_top()
    assert "http" not in drawing.replace("http://www.w3.org/2000/svg", "")
    lines = lines_of(drawing)
    assert "│ 1-2     attached     Anna's iPhone  360 kB/s  ▅▆▆▇▇▇████   36.0 MB/s  ▅▆▆▇▇▇████" in lines[3]
    assert "│Name         Anna's iPhone" in "\n".join(lines)
