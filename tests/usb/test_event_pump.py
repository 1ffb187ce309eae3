from __future__ import annotations

import asyncio
import functools
import os
import threading
from select import POLLIN
from typing import TYPE_CHECKING

import pytest

from usbmux.errors import UsbError
from usbmux.usb.event_pump import DescriptorPump, EventPump, ThreadPump, make_event_pump

if TYPE_CHECKING:
    from collections.abc import Callable

    from usbmux.usb._usb1 import DescriptorAdded, DescriptorRemoved, Device, HotplugCallback

usb1 = pytest.importorskip("usb1", reason="the libusb binding is not installed")


class ScriptedContext:
    """A `Context` with one descriptor; its events are the actions that a test leaves."""

    def __init__(self, *, has_descriptors: bool = True) -> None:
        self.has_descriptors = has_descriptors
        self.readable, self._writable = os.pipe()
        self.next_timeout_s: float | None = None
        self.events: list[Callable[[], object]] = []
        self.handling_threads: list[int] = []
        self.notifiers: tuple[DescriptorAdded | None, DescriptorRemoved | None] = (None, None)
        self._wakes = threading.Semaphore(0)

    def occur(self, event: Callable[[], object]) -> None:
        self.events.append(event)
        os.write(self._writable, b"x")
        self._wakes.release()

    def open(self) -> object:
        raise NotImplementedError

    def getDeviceList(self, *, skip_on_error: bool = False) -> list[Device]:
        raise NotImplementedError

    def hotplugRegisterCallback(self, callback: HotplugCallback, *, vendor_id: int) -> int:
        raise NotImplementedError

    def getPollFDList(self) -> list[tuple[int, int]]:
        if not self.has_descriptors:
            raise NotImplementedError
        return [(self.readable, POLLIN)]

    def setPollFDNotifiers(self, added_cb: DescriptorAdded | None, removed_cb: DescriptorRemoved | None) -> None:
        self.notifiers = (added_cb, removed_cb)

    def getNextTimeout(self) -> float | None:
        return self.next_timeout_s

    def handleEventsTimeout(self, tv: float = 0) -> None:
        if tv > 0:
            self._wakes.acquire(timeout=tv)
        self.handling_threads.append(threading.get_ident())
        while self.events:
            os.read(self.readable, 1)
            self.events.pop(0)()

    def interruptEventHandler(self) -> None:
        self._wakes.release()

    def close(self) -> None:
        os.close(self.readable)
        os.close(self._writable)


async def noted(pump: EventPump, context: ScriptedContext) -> int:
    """Lets one event occur; returns the thread in which its note was acted on."""
    acted: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    context.occur(lambda: pump.notify(lambda: acted.set_result(threading.get_ident())))
    return await asyncio.wait_for(acted, 10)


@pytest.mark.asyncio
@pytest.mark.parametrize(("has_descriptors", "kind"), [(True, DescriptorPump), (False, ThreadPump)])
async def test_pump_runs_events_and_acts_in_the_loop(has_descriptors: bool, kind: type) -> None:
    context = ScriptedContext(has_descriptors=has_descriptors)
    pump = make_event_pump(context, asyncio.get_running_loop())
    pump.start()

    threads = [await noted(pump, context) for _ in range(3)]

    assert type(pump) is kind
    assert threads == [threading.get_ident()] * 3
    assert (threading.get_ident() in context.handling_threads) is has_descriptors
    pump.stop()
    context.close()


@pytest.mark.asyncio
async def test_descriptor_pump_note_raises_the_others_are_acted_on_and_the_loop_hears() -> None:
    context = ScriptedContext()
    loop = asyncio.get_running_loop()
    heard: list[object] = []
    loop.set_exception_handler(lambda _loop, report: heard.append(report["exception"]))
    pump = DescriptorPump(context, loop)
    pump.start()
    last: asyncio.Future[None] = loop.create_future()
    error = ZeroDivisionError()

    def fail() -> None:
        raise error

    def occur() -> None:
        pump.notify(fail)
        pump.notify(last.set_result, None)

    context.occur(occur)

    await asyncio.wait_for(last, 10)
    assert heard == [error]
    pump.stop()
    context.close()


@pytest.mark.asyncio
async def test_descriptor_pump_note_from_a_worker_thread_is_acted_on_in_the_loop() -> None:
    context = ScriptedContext()
    loop = asyncio.get_running_loop()
    pump = DescriptorPump(context, loop)
    pump.start()
    acted: asyncio.Future[int] = loop.create_future()

    await asyncio.to_thread(pump.notify, lambda: acted.set_result(threading.get_ident()))

    assert await asyncio.wait_for(acted, 10) == threading.get_ident()
    pump.stop()
    context.close()


@pytest.mark.asyncio
async def test_descriptor_pump_added_descriptor_is_watched_until_removed() -> None:
    context = ScriptedContext()
    loop = asyncio.get_running_loop()
    pump = DescriptorPump(context, loop)
    pump.start()
    added, removed = context.notifiers
    assert added is not None
    assert removed is not None
    readable, writable = os.pipe()

    await asyncio.to_thread(added, readable, POLLIN, None)
    before = len(context.handling_threads)
    os.write(writable, b"x")
    async with asyncio.timeout(10):
        while len(context.handling_threads) == before:
            await asyncio.to_thread(int)
    removed(readable, None)

    assert not loop.remove_reader(readable)
    os.close(readable)
    os.close(writable)
    pump.stop()
    assert not loop.remove_reader(context.readable)
    assert context.notifiers == (None, None)
    context.close()


@pytest.mark.asyncio
async def test_descriptor_pump_without_timer_descriptor_wakes_for_the_timeout() -> None:
    context = ScriptedContext()
    loop = asyncio.get_running_loop()
    pump = DescriptorPump(context, loop)
    pump.start()
    before = len(context.handling_threads)
    context.next_timeout_s = 0.01

    pump.timeout_changed()

    async with asyncio.timeout(10):
        while len(context.handling_threads) == before:
            await asyncio.to_thread(int)
    pump.stop()
    context.close()


@pytest.mark.asyncio
async def test_descriptor_pump_library_fails_the_loop_hears_our_error() -> None:
    context = ScriptedContext()
    loop = asyncio.get_running_loop()
    heard: asyncio.Future[object] = loop.create_future()
    loop.set_exception_handler(lambda _loop, report: heard.set_result(report["exception"]))
    pump = DescriptorPump(context, loop)
    pump.start()

    def fail() -> None:
        raise usb1.USBErrorOther

    context.occur(fail)

    assert isinstance(await asyncio.wait_for(heard, 10), UsbError)
    pump.stop()
    context.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("has_descriptors", [True, False])
async def test_pump_calls_in_the_loop_after_each_run_of_events_until_it_is_stopped(has_descriptors: bool) -> None:
    context = ScriptedContext(has_descriptors=has_descriptors)
    loop = asyncio.get_running_loop()
    pump = make_event_pump(context, loop)
    calls: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
    pump.start()
    pump.call_after_events(lambda: calls.put_nowait(("".join(occurred), threading.get_ident())))
    occurred: list[str] = []

    for letter in "abc":
        context.occur(functools.partial(occurred.append, letter))
        async with asyncio.timeout(10):
            while (await calls.get()) != ("".join(occurred), threading.get_ident()) or occurred[-1:] != [letter]:
                pass
    pump.stop()

    assert occurred == ["a", "b", "c"]
    context.close()
