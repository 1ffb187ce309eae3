from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
from functools import partial
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.daemon.harness import open_descriptors, tcp_pair, turns, until
from usbmux.daemon.socket_watch import PROBE_S, EdgeWatch, LoopWatch, SocketWatch, make_socket_watch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

HAS_EPOLL = hasattr(select, "epoll")
HAS_POLL = hasattr(select, "poll")
NEEDS_EPOLL = pytest.mark.skipif(not HAS_EPOLL, reason="no epoll on this system")

pytestmark = pytest.mark.asyncio

SocketPair = tuple[socket.socket, socket.socket]


class Owner:
    """A `SocketOwner` that counts, and does what a test says."""

    def __init__(self) -> None:
        self.inputs = self.rooms = self.hang_ups = 0
        self.knows_end = False
        self.when_told: Callable[[], None] = lambda: None

    def input_came(self, *, ends: bool) -> None:
        self.inputs += 1
        self.knows_end = ends
        self.when_told()

    def room_came(self) -> None:
        self.rooms += 1
        self.when_told()

    def hung_up(self) -> None:
        self.hang_ups += 1
        self.when_told()


@pytest.fixture
def pair() -> Iterator[SocketPair]:
    near, far = socket.socketpair()
    near.setblocking(False)
    with near, far:
        yield near, far


@pytest_asyncio.fixture(params=[pytest.param(EdgeWatch, marks=NEEDS_EPOLL), LoopWatch])
async def watch(request: pytest.FixtureRequest, pair: SocketPair) -> AsyncIterator[SocketWatch]:
    """Every watch there is; it ends before the pair."""
    watch: SocketWatch = request.param(asyncio.get_running_loop())
    yield watch
    watch.close()


@pytest.fixture
def telling_watch(watch: SocketWatch) -> SocketWatch:
    """Those that can tell of a hang-up."""
    if isinstance(watch, LoopWatch) and not HAS_POLL:
        pytest.skip("neither epoll nor poll on this system")
    return watch


@pytest_asyncio.fixture
async def edge_watch(pair: SocketPair) -> AsyncIterator[EdgeWatch]:
    if not HAS_EPOLL:
        pytest.skip("no epoll on this system")
    watch = EdgeWatch(asyncio.get_running_loop())
    yield watch
    watch.close()


def fill(sock: socket.socket) -> None:
    """Send until it would block."""
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.send(bytes(65536))


async def test_made_is_the_one_of_the_platform() -> None:
    with contextlib.closing(make_socket_watch(asyncio.get_running_loop())) as watch:
        assert type(watch) is (EdgeWatch if HAS_EPOLL else LoopWatch)


# Input.


async def test_input_is_told_once_until_wanted_again(watch: SocketWatch, pair: SocketPair) -> None:
    near, far = pair
    owner = Owner()
    watch.add(near, owner)
    far.send(b"one")
    await until(lambda: owner.inputs)
    await turns(10)
    assert owner.inputs == 1

    assert near.recv(10) == b"one"
    watch.want_input(near)
    await turns(10)
    assert owner.inputs == 1
    far.send(b"two")
    await until(lambda: owner.inputs == 2)


@pytest.mark.parametrize("ending", [lambda far: far.shutdown(socket.SHUT_WR), lambda far: far.close()])
async def test_end_comes_with_the_input_or_behind_it_is_told(
    edge_watch: EdgeWatch, ending: Callable[[socket.socket], None]
) -> None:
    for near, far in (socket.socketpair(), tcp_pair(), socket.socketpair()):
        with near, far:
            near.setblocking(False)
            owner = Owner()
            edge_watch.add(near, owner)
            if near.family == socket.AF_UNIX:
                far.send(b"last")
                await until(partial(getattr, owner, "inputs"))
                assert not owner.knows_end
            far.send(b"words")
            ending(far)
            await until(partial(getattr, owner, "knows_end"))
            edge_watch.remove(near)


async def test_added_again_for_another_owner_it_alone_is_told_what_is_so_already(
    watch: SocketWatch, pair: SocketPair
) -> None:
    near, far = pair
    before, after = Owner(), Owner()
    watch.add(near, before)
    far.send(b"one")
    await until(lambda: before.inputs)
    watch.add(near, after)
    await until(lambda: after.inputs)
    assert near.recv(10) == b"one"
    watch.want_input(near)
    far.send(b"two")
    await until(lambda: after.inputs == 2)
    assert before.inputs == 1


async def test_hung_up_and_added_again_for_another_owner_it_is_told_too(
    telling_watch: SocketWatch, pair: SocketPair
) -> None:
    near, far = pair
    before, after = Owner(), Owner()
    telling_watch.add(near, before)
    far.close()
    await until(lambda: before.hang_ups)
    telling_watch.add(near, after)
    await until(lambda: after.hang_ups)
    assert after.knows_end


async def test_input_before_it_is_watched_is_told(watch: SocketWatch, pair: SocketPair) -> None:
    near, far = pair
    far.send(b"early")
    owner = Owner()
    watch.add(near, owner)
    await until(lambda: owner.inputs)


async def test_peer_half_closes_its_end_is_input_and_nothing_spins(watch: SocketWatch, pair: SocketPair) -> None:
    near, far = pair
    owner = Owner()
    watch.add(near, owner)
    far.shutdown(socket.SHUT_WR)
    await until(lambda: owner.inputs)
    await turns(10)
    assert (owner.inputs, owner.hang_ups) == (1, 0)
    assert near.recv(10) == b""


async def test_owner_raises_the_others_are_told_and_the_loop_hears(watch: SocketWatch) -> None:
    heard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, report: heard.append(report["exception"]))
    error = ZeroDivisionError()
    pairs = [socket.socketpair() for _ in range(3)]
    owners = [Owner() for _ in pairs]

    def fail() -> None:
        raise error

    for (near, far), owner in zip(pairs, owners, strict=True):
        owner.when_told = fail
        watch.add(near, owner)
        far.send(b"x")
    await until(lambda: all(owner.inputs for owner in owners))
    await turns(10)

    assert heard == [error] * 3
    for near, far in pairs:
        watch.remove(near)
        near.close()
        far.close()


# Room.


async def test_room_is_told_only_while_wanted(watch: SocketWatch, pair: SocketPair) -> None:
    near, far = pair
    owner = Owner()
    watch.add(near, owner)
    await turns(10)
    assert owner.rooms == 0
    fill(near)
    watch.want_room(near, True)
    await turns(10)
    assert owner.rooms == 0

    far.recv(1 << 20)
    await until(lambda: owner.rooms)
    watch.want_room(near, False)
    told = owner.rooms
    fill(near)
    far.recv(1 << 20)
    await turns(10)

    assert owner.rooms == told


async def test_room_there_already_when_wanted_is_told(watch: SocketWatch, pair: SocketPair) -> None:
    owner = Owner()
    watch.add(pair[0], owner)
    watch.want_room(pair[0], True)
    await until(lambda: owner.rooms)


# The end.


async def test_removed_nothing_is_told_and_the_socket_can_be_watched_again(
    watch: SocketWatch, pair: SocketPair
) -> None:
    near, far = pair
    owner = Owner()
    watch.add(near, owner)
    watch.remove(near)
    watch.remove(near)
    far.send(b"data")
    far.close()
    await turns(10)
    assert (owner.inputs, owner.hang_ups) == (0, 0)
    watch.add(near, owner)
    await until(lambda: owner.inputs)


async def test_two_told_together_and_the_first_removes_the_second_it_is_not_told(watch: SocketWatch) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    owners = [Owner(), Owner()]

    def remove_both() -> None:
        for near, _far in pairs:
            watch.remove(near)

    for (near, far), owner in zip(pairs, owners, strict=True):
        owner.when_told = remove_both
        watch.add(near, owner)
        far.send(b"x")
    await until(lambda: any(owner.inputs for owner in owners))
    await turns(10)

    assert sum(owner.inputs for owner in owners) == 1
    for near, far in pairs:
        near.close()
        far.close()


async def test_descriptor_of_a_removed_socket_given_away_again_news_of_the_old_one_is_not_told(
    edge_watch: EdgeWatch,
) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    reborn = Owner()
    spare, peer = socket.socketpair()
    numbers: list[int] = []

    def replace_the_other(other: int) -> None:
        near, far = pairs[other]
        numbers.append(near.fileno())
        edge_watch.remove(near)
        near.close()
        os.dup2(spare.fileno(), numbers[0])
        pairs[other] = socket.socket(fileno=numbers[0]), far
        edge_watch.add(pairs[other][0], reborn)

    owners = [Owner(), Owner()]
    for index, owner in enumerate(owners):
        # The default binds the index of this turn; the checker cannot infer a lambda that has one.
        owner.when_told = lambda index=index: replace_the_other(1 - index) if not numbers else None  # type: ignore[misc]
        edge_watch.add(pairs[index][0], owner)
    for _near, far in pairs:
        far.close()
    await until(lambda: numbers)
    await turns(10)

    assert (reborn.hang_ups, reborn.inputs) == (0, 0)
    for near, far in [*pairs, (spare, peer)]:
        near.close()
        far.close()


async def test_peer_hangs_up_is_told_once_beside_the_input(telling_watch: SocketWatch, pair: SocketPair) -> None:
    near, far = pair
    owner = Owner()
    telling_watch.add(near, owner)
    far.send(b"data")
    far.close()
    await until(lambda: owner.hang_ups)
    await turns(10)
    assert owner.hang_ups == 1
    assert owner.inputs >= 1
    assert near.recv(10) == b"data"


async def test_peer_hung_up_and_input_is_wanted_again_only_that_is_told_again(
    telling_watch: SocketWatch, pair: SocketPair
) -> None:
    near, far = pair
    owner = Owner()
    telling_watch.add(near, owner)
    far.close()
    await until(lambda: owner.hang_ups)
    telling_watch.want_input(near)
    await asyncio.sleep(2 * PROBE_S)
    assert owner.hang_ups == 1


async def test_two_hang_up_together_and_the_first_removes_both_the_second_is_not_told(
    telling_watch: SocketWatch,
) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    owners = [Owner(), Owner()]

    def remove_both() -> None:
        if any(owner.hang_ups for owner in owners):
            for near, _far in pairs:
                telling_watch.remove(near)

    for (near, far), owner in zip(pairs, owners, strict=True):
        owner.when_told = remove_both
        telling_watch.add(near, owner)
        far.close()
    await asyncio.sleep(2 * PROBE_S)

    assert sum(owner.hang_ups for owner in owners) == 1
    assert isinstance(telling_watch, LoopWatch) or not any(owner.inputs for owner in owners)
    for near, _far in pairs:
        near.close()


async def test_peer_closed_before_it_is_watched_is_told(telling_watch: SocketWatch, pair: SocketPair) -> None:
    near, far = pair
    owner = Owner()
    far.close()
    telling_watch.add(near, owner)
    await until(lambda: owner.hang_ups)


async def test_tcp_peer_resets_is_told(telling_watch: SocketWatch) -> None:
    near, far = tcp_pair()
    owner = Owner()
    with near:
        telling_watch.add(near, owner)
        near.send(b"unread")
        far.close()  # with unread data: a reset
        await until(lambda: owner.hang_ups)
        telling_watch.remove(near)


async def test_many_hang_up_at_once_each_is_told(telling_watch: SocketWatch) -> None:
    owner = Owner()
    pairs = [socket.socketpair() for _ in range(300)]
    for near, far in pairs:
        telling_watch.add(near, owner)
        far.close()
    await until(lambda: owner.hang_ups == 300)
    for near, _ in pairs:
        telling_watch.remove(near)
        near.close()


async def test_closed_leaves_no_descriptor(watch: SocketWatch) -> None:
    loop = asyncio.get_running_loop()
    before = open_descriptors()
    another = type(watch)(loop)  # type: ignore[call-arg]
    for _ in range(2):
        another.close()
    assert open_descriptors() == before
