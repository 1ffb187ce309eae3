"""An event loop some of whose descriptors have callbacks."""

from __future__ import annotations

import asyncio
import select
import socket
from typing import TYPE_CHECKING

import pytest

from usbmux.direct_loop import DirectLoop, DirectSelector, direct_selector, let_go, new_event_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.skipif(not hasattr(select, "epoll"), reason="no epoll on this system")

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def failures() -> list[Exception]:
    return []


@pytest.fixture
def selector(failures: list[Exception]) -> Iterator[DirectSelector]:
    selector = DirectSelector(failures.append)
    yield selector
    selector.close()


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    """Of each the second has written, so that the first is readable."""
    pairs = [socket.socketpair() for _ in range(3)]
    for near, far in pairs:
        near.setblocking(False)
        far.send(b"x")
    yield pairs
    for near, far in pairs:
        near.close()
        far.close()


def test_watched_is_called_with_its_events_and_others_are_returned(selector: DirectSelector, pairs: list[Pair]) -> None:
    seen: list[int] = []
    selector.watch(pairs[0][0].fileno(), select.EPOLLIN, seen.append)
    selector.register(pairs[1][0], select.EPOLLIN, "data")

    [(key, events)] = selector.select(0)

    assert seen == [select.EPOLLIN]
    assert (key.fileobj, key.data, events) == (pairs[1][0], "data", select.EPOLLIN)


def test_pause_is_called_only_before_a_wait(selector: DirectSelector) -> None:
    calls: list[str] = []
    selector.pause = lambda: calls.append("pause")

    selector.select(0)
    assert calls == []

    for _ in range(3):
        selector.select(0.001)
    assert calls == ["pause"] * 3


def test_changed_is_called_for_the_other_events_only(selector: DirectSelector, pairs: list[Pair]) -> None:
    seen: list[int] = []
    selector.watch(pairs[0][0].fileno(), select.EPOLLIN, seen.append)
    selector.change(pairs[0][0].fileno(), select.EPOLLOUT)

    assert selector.select(0) == []

    assert seen == [select.EPOLLOUT]


def test_callback_raises_it_is_reported_and_the_others_are_called(
    selector: DirectSelector, pairs: list[Pair], failures: list[Exception]
) -> None:
    calls: list[int] = []

    def fail(events: int) -> None:
        calls.append(events)
        raise ZeroDivisionError

    for near, _far in pairs:
        selector.watch(near.fileno(), select.EPOLLIN, fail)

    selector.select(0)

    assert (len(calls), [type(error) for error in failures]) == (3, [ZeroDivisionError] * 3)


def test_given_up_by_another_in_the_same_turn_is_not_called_even_if_its_number_is_watched_again(
    selector: DirectSelector, pairs: list[Pair]
) -> None:
    calls: list[int] = []
    numbers = [near.fileno() for near, _far in pairs]

    def replace_the_others(number: int) -> Callable[[int], None]:
        def callback(_events: int) -> None:
            calls.append(number)
            for other in numbers:
                if other != number:
                    selector.give_up(other)
                    selector.give_up(other)
                    selector.watch(other, select.EPOLLIN, calls.append)

        return callback

    for number in numbers:
        selector.watch(number, select.EPOLLIN, replace_the_others(number))

    selector.select(0)
    assert len(calls) == 1


def test_watched_by_asyncio_too_all_of_it_works(pairs: list[Pair]) -> None:
    async def use() -> tuple[bytes, int, str]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, DirectLoop)
        called = loop.create_future()
        loop.direct.watch(pairs[1][0].fileno(), select.EPOLLIN | select.EPOLLET, called.set_result)
        data = await loop.sock_recv(pairs[0][0], 10)
        process = await asyncio.create_subprocess_exec("echo", "said", stdout=asyncio.subprocess.PIPE)
        said, _ = await process.communicate()
        await asyncio.sleep(0.001)
        return data, await called, said.decode()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        assert runner.run(use()) == (b"x", select.EPOLLIN, "said\n")


def test_callback_in_a_loop_raises_the_handler_of_the_loop_is_told(pairs: list[Pair]) -> None:
    async def use() -> object:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, DirectLoop)
        told = loop.create_future()
        loop.set_exception_handler(lambda _loop, context: told.set_result(context.get("exception")))
        loop.direct.watch(pairs[0][0].fileno(), select.EPOLLIN | select.EPOLLET, lambda _events: 1 // 0)
        return await told

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        assert isinstance(runner.run(use()), ZeroDivisionError)


def test_callback_exits_the_loop_ends(pairs: list[Pair]) -> None:
    def exit_now(_events: int) -> None:
        raise SystemExit(3)

    loop = DirectLoop()
    loop.direct.watch(pairs[0][0].fileno(), select.EPOLLIN, exit_now)
    with pytest.raises(SystemExit):
        loop.run_forever()
    loop.close()


@pytest.mark.asyncio
async def test_hung_on_another_loop_callbacks_come_until_it_is_let_go(pairs: list[Pair]) -> None:
    loop = asyncio.get_running_loop()
    selector = direct_selector(loop)
    called: asyncio.Future[int] = loop.create_future()
    selector.watch(pairs[0][0].fileno(), select.EPOLLIN | select.EPOLLET, called.set_result)

    assert await asyncio.wait_for(called, 10) == select.EPOLLIN
    let_go(loop, selector)

    with pytest.raises(ValueError, match="closed"):
        selector.fileno()
