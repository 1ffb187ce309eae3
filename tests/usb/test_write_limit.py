import pytest

from usbmux.usb.spare_memory import SpareMemory
from usbmux.usb.write_limit import WriteLimit

LEAST, MOST, STEP = 100, 350, 50
LOOKS = 32


def limit_of(spare: SpareMemory) -> WriteLimit:
    return WriteLimit(spare, least=LEAST, most=MOST, step=STEP)


def reopen(limit: WriteLimit, left: int) -> None:
    """The limit was reached, and now only so much is left."""
    limit.drain.in_flight = limit.bytes
    assert limit.is_reached()
    limit.ended(limit.bytes - left, was_full=True)
    assert not limit.is_reached()


def follow(limit: WriteLimit, rate: float) -> None:
    """It becomes known how fast the endpoint is."""
    limit.drain.want(True)
    limit.drain.rate = rate
    limit.drain.in_flight = 2
    limit.ended(1, was_full=False)


def have_nothing_to_do(limit: WriteLimit) -> None:
    limit.ended(limit.drain.in_flight, was_full=False)


def test_endpoint_ran_low_the_limit_rises_to_its_most() -> None:
    limit = limit_of(SpareMemory(1000))
    seen = []

    for _ in range(7):
        reopen(limit, 0)
        seen.append(limit.bytes)

    assert seen == [150, 200, 250, 300, 350, 350, 350]


def test_something_was_left_the_limit_stays() -> None:
    limit = limit_of(SpareMemory(1000))
    reopen(limit, 0)

    for _ in range(LOOKS - 1):
        reopen(limit, 1)

    assert limit.bytes == 150


def test_as_much_was_always_left_the_limit_sinks_by_that() -> None:
    limit = limit_of(SpareMemory(1000))
    for _ in range(5):
        reopen(limit, 0)

    for left in [120, 70, *[200] * (LOOKS - 2)]:
        reopen(limit, left)

    assert limit.bytes == 350 - 70


def test_more_was_left_than_the_limit_may_sink_it_is_its_least() -> None:
    limit = limit_of(SpareMemory(1000))
    reopen(limit, 0)

    for _ in range(3 * LOOKS):
        reopen(limit, 90)

    assert limit.bytes == LEAST


def test_ran_low_again_and_again_after_it_sank_it_sinks_ever_more_rarely() -> None:
    limit = limit_of(SpareMemory(1000))
    for patience in (LOOKS, 2 * LOOKS, 4 * LOOKS, 8 * LOOKS):
        reopen(limit, 0)
        assert limit.bytes == 150
        for _ in range(patience - 1):
            reopen(limit, 50)
        assert limit.bytes == 150
        reopen(limit, 50)
        assert limit.bytes == LEAST


def test_sinks_without_running_low_it_sinks_as_often_again() -> None:
    limit = limit_of(SpareMemory(1000))
    for patience in (LOOKS, 2 * LOOKS, 4 * LOOKS):
        reopen(limit, 0)
        for _ in range(patience):
            reopen(limit, 50)
    reopen(limit, 0)

    for patience in (8 * LOOKS, 8 * LOOKS, 4 * LOOKS, 2 * LOOKS, LOOKS, LOOKS):
        before = limit.bytes
        for _ in range(patience - 1):
            reopen(limit, 5)
        assert limit.bytes == before
        reopen(limit, 5)
        assert limit.bytes == before - 5


def test_ran_low_in_between_what_was_left_before_does_not_count() -> None:
    limit = limit_of(SpareMemory(1000))
    for _ in range(LOOKS - 1):
        reopen(limit, 90)

    reopen(limit, 0)
    reopen(limit, 90)

    assert limit.bytes == 150


def test_spare_memory_is_lent_out_the_limit_stays() -> None:
    spare = SpareMemory(STEP)
    limit, other = limit_of(spare), limit_of(spare)
    reopen(other, 0)

    reopen(limit, 0)

    assert (limit.bytes, other.bytes) == (LEAST, LEAST + STEP)


def test_sunk_or_closed_what_was_borrowed_is_given_back() -> None:
    spare = SpareMemory(2 * STEP)
    limit = limit_of(spare)
    reopen(limit, 0)
    reopen(limit, 0)
    assert not spare.borrow(1)

    for _ in range(LOOKS):
        reopen(limit, 30)
    assert spare.borrow(30)
    spare.give_back(30)
    limit.close()

    assert spare.borrow(2 * STEP)


FAST = 120 / 0.00025
"""So fast that 120 bytes go out while we wake up."""


def test_rate_is_known_the_limit_is_no_lower_than_what_goes_out_while_we_wake_up() -> None:
    limit = limit_of(SpareMemory(1000))

    follow(limit, FAST)
    for _ in range(3 * LOOKS):
        reopen(limit, 90)

    assert limit.bytes == LEAST + 120


def test_rate_is_huge_the_limit_is_its_most() -> None:
    limit = limit_of(SpareMemory(1000))
    follow(limit, 1e12)
    assert limit.bytes == MOST


def test_rate_is_not_known_any_more_what_rose_because_of_it_sinks() -> None:
    spare = SpareMemory(1000)
    limit = limit_of(spare)
    reopen(limit, 0)
    follow(limit, FAST)

    have_nothing_to_do(limit)

    assert limit.bytes == LEAST + STEP
    assert spare.borrow(1000 - STEP)


@pytest.mark.parametrize(
    ("size", "expected"),
    [(LEAST - 1, (LEAST, True)), (LEAST, (LEAST, False)), (LEAST + 120, (LEAST + 120, False))],
)
def test_spare_memory_is_short_it_follows_as_far_as_there_is_some(size: int, expected: tuple[int, bool]) -> None:
    limit = limit_of(SpareMemory(size))
    follow(limit, FAST)
    limit.drain.in_flight, limit.drain.gone = limit.bytes, 1
    assert (limit.bytes, limit.is_reached()) == expected


def test_closed_while_it_follows_all_is_given_back() -> None:
    spare = SpareMemory(1000)
    limit = limit_of(spare)
    follow(limit, FAST)
    reopen(limit, 0)

    limit.close()

    assert (spare.borrow(1000), spare.borrow(1)) == (True, False)


def test_nothing_to_do_and_busy_again_it_follows_each_time_and_sinks_by_what_rose_since() -> None:
    spare = SpareMemory(1000)
    limit = limit_of(spare)
    for _ in range(3):
        follow(limit, 200_000)
        follow(limit, 400_000)
        assert limit.bytes == 200
        have_nothing_to_do(limit)
        assert limit.bytes == LEAST
        assert (spare.borrow(1000), spare.borrow(1)) == (True, False)
        spare.give_back(1000)

    follow(limit, 400_000)
    reopen(limit, 0)
    have_nothing_to_do(limit)
    assert limit.bytes == LEAST + STEP
    limit.drain.want(False)
    for _ in range(LOOKS):
        reopen(limit, STEP)
    assert limit.bytes == LEAST
