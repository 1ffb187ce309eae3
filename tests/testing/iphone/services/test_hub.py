"""Hubs and mailboxes, within a loop and across threads."""

import asyncio
import threading

import pytest

from tests.testing.iphone.services.scene import settle
from usbmux.testing.iphone.services.hub import Delivery, Hub


@pytest.mark.asyncio
async def test_open_mailboxes_posted_item_all_receive() -> None:
    hub = Hub[int]()
    with hub.open_mailbox() as first, hub.open_mailbox() as second:
        hub.post(1)
        hub.post(2)
        assert await first.receive() == await second.receive() == Delivery(0, (1, 2))


@pytest.mark.asyncio
async def test_filled_mailbox_received_is_empty() -> None:
    hub = Hub[int]()
    with hub.open_mailbox() as mailbox:
        hub.post(1)
        await mailbox.receive()
        waiting = asyncio.create_task(mailbox.receive())
        await settle()
        assert not waiting.done()
        hub.post(2)
        assert await waiting == Delivery(0, (2,))


@pytest.mark.asyncio
async def test_hub_with_a_welcome_each_mailbox_that_wants_it_begins_with_it() -> None:
    hub = Hub[int](welcome=lambda: 7)
    with hub.open_mailbox() as wants_all, hub.open_mailbox(lambda item: item < 7) as wants_less:
        hub.post(1)
        assert await wants_all.receive() == Delivery(0, (7, 1))
        assert await wants_less.receive() == Delivery(0, (1,))


@pytest.mark.asyncio
async def test_full_mailbox_posted_item_oldest_lost_and_counted() -> None:
    hub = Hub[int](capacity=3)
    with hub.open_mailbox() as slow:
        for item in range(10):
            hub.post(item)
        assert await slow.receive() == Delivery(7, (7, 8, 9))
        hub.post(10)
        assert await slow.receive() == Delivery(0, (10,))


@pytest.mark.asyncio
async def test_slow_reader_full_others_lose_nothing() -> None:
    hub = Hub[int](capacity=3)
    with hub.open_mailbox() as slow, hub.open_mailbox() as quick:
        taken: list[int] = []
        for item in range(10):
            hub.post(item)
            taken += (await quick.receive()).items
        assert taken == list(range(10))
        assert (await slow.receive()).lost == 7


@pytest.mark.asyncio
async def test_mailbox_with_filter_only_wanted_items_come_or_are_lost() -> None:
    hub = Hub[int](capacity=2)
    with hub.open_mailbox(lambda item: item % 2 == 0) as mailbox:
        for item in range(7):
            hub.post(item)
        assert await mailbox.receive() == Delivery(2, (4, 6))


@pytest.mark.asyncio
async def test_closed_mailbox_posted_item_goes_nowhere() -> None:
    hub = Hub[int]()
    with hub.open_mailbox() as mailbox:
        assert hub.reader_count == 1
    assert hub.reader_count == 0
    hub.post(1)
    with hub.open_mailbox() as later:
        hub.post(2)
        assert await later.receive() == Delivery(0, (2,))
    waiting = asyncio.create_task(mailbox.receive())
    await settle()
    assert not waiting.done()
    waiting.cancel()


@pytest.mark.asyncio
async def test_cancelled_receive_item_waits_for_the_next_one() -> None:
    hub = Hub[int]()
    with hub.open_mailbox() as mailbox:
        waiting = asyncio.create_task(mailbox.receive())
        await settle()
        waiting.cancel()
        hub.post(1)
        await settle()
        assert await mailbox.receive() == Delivery(0, (1,))


@pytest.mark.asyncio
async def test_items_from_threads_all_arrive_in_the_order_of_each() -> None:
    hub = Hub[tuple[int, int]](capacity=4000)

    def post(thread: int) -> None:
        for number in range(1000):
            hub.post((thread, number))

    with hub.open_mailbox() as mailbox:
        threads = [threading.Thread(target=post, args=(index,)) for index in range(4)]
        for thread in threads:
            thread.start()
        taken: list[tuple[int, int]] = []
        while len(taken) < 4000:
            delivery = await mailbox.receive()
            assert delivery.lost == 0
            taken += delivery.items
        for thread in threads:
            thread.join()
    for index in range(4):
        assert [number for thread, number in taken if thread == index] == list(range(1000))


@pytest.mark.asyncio
async def test_no_reader_wait_ends_when_one_comes() -> None:
    hub = Hub[int]()
    waiting = asyncio.create_task(asyncio.to_thread(hub.wait_readers))
    await settle()
    with hub.open_mailbox():
        await waiting


def test_no_reader_in_time_wait_raises() -> None:
    with pytest.raises(TimeoutError, match="0 of 1 readers"):
        Hub[int]().wait_readers(timeout_s=0)


def test_loop_of_a_mailbox_closed_posting_harmless() -> None:
    hub = Hub[int]()
    left_open = hub.open_mailbox()

    async def enter() -> None:
        left_open.__enter__()

    asyncio.run(enter())
    assert hub.reader_count == 1
    hub.post(1)
