from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from tests.contract.bus_subjects import turns
from tests.support.threads import give_no_thread
from usbmux.errors import UsbError
from usbmux.usb.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

WITHIN_S = 30.0


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker("tested worker")
    yield worker
    worker.stop()


def thread_of_worker() -> threading.Thread:
    [thread] = [thread for thread in threading.enumerate() if thread.name.startswith("tested worker")]
    return thread


@pytest.mark.asyncio
async def test_worker_called_gives_the_result_from_its_own_thread(worker: Worker) -> None:
    assert await worker.call(divmod, 7, 4) == (1, 3)

    assert await worker.call(threading.current_thread) is thread_of_worker()


@pytest.mark.asyncio
async def test_worker_call_that_fails_raises(worker: Worker) -> None:
    with pytest.raises(ZeroDivisionError):
        await worker.call(divmod, 7, 0)


@pytest.mark.asyncio
async def test_worker_hangs_another_does_not(worker: Worker) -> None:
    release = threading.Event()
    hanging = [Worker(f"hanging {number}") for number in range(64)]
    calls = [asyncio.ensure_future(each.call(release.wait, WITHIN_S)) for each in hanging]

    assert await worker.call(divmod, 7, 4) == (1, 3)

    release.set()
    assert all(await asyncio.gather(*calls))
    for each in hanging:
        each.stop()


@pytest.mark.asyncio
@pytest.mark.parametrize("times", [1, 2, 3])
async def test_worker_call_cancelled_ends_after_what_was_called(times: int, worker: Worker) -> None:
    entered, release = threading.Event(), threading.Event()

    def hang() -> None:
        entered.set()
        release.wait(WITHIN_S)

    call = asyncio.ensure_future(worker.call(hang))
    await asyncio.to_thread(entered.wait, WITHIN_S)
    for _ in range(times):
        call.cancel()
        await turns()
    assert not call.done()

    release.set()
    with pytest.raises(asyncio.CancelledError):
        await call


@pytest.mark.asyncio
async def test_worker_call_cancelled_that_fails_is_not_complained_about(worker: Worker) -> None:
    entered, release = threading.Event(), threading.Event()

    def fail() -> None:
        entered.set()
        release.wait(WITHIN_S)
        raise ValueError

    call = asyncio.ensure_future(worker.call(fail))
    await asyncio.to_thread(entered.wait, WITHIN_S)
    call.cancel()
    release.set()

    with pytest.raises(asyncio.CancelledError):
        await call


@pytest.mark.asyncio
async def test_worker_stopped_thread_ends_and_next_call_starts_another(worker: Worker) -> None:
    await worker.call(int)
    thread = thread_of_worker()

    worker.stop()

    await asyncio.to_thread(thread.join, WITHIN_S)
    assert not thread.is_alive()
    assert await worker.call(divmod, 7, 4) == (1, 3)


@pytest.mark.asyncio
async def test_worker_called_without_a_thread_raises_and_the_next_call_has_one(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        give_no_thread(patch)
        with pytest.raises(UsbError, match="no thread for tested worker: can't start new thread"):
            await worker.call(pytest.fail, "called after it was refused")

    assert await worker.call(divmod, 7, 4) == (1, 3)
