from usbmux.usb.spare_memory import SpareMemory
from usbmux.usb.write_limit import WriteLimit

LEAST, MOST, STEP = 100, 350, 50
LOOKS = 32


def limit_of(spare: SpareMemory) -> WriteLimit:
    return WriteLimit(spare, least=LEAST, most=MOST, step=STEP)


def test_endpoint_ran_low_the_limit_rises_to_its_most() -> None:
    limit = limit_of(SpareMemory(1000))
    seen = []

    for _ in range(7):
        limit.reopened(0)
        seen.append(limit.bytes)

    assert seen == [150, 200, 250, 300, 350, 350, 350]


def test_something_was_left_the_limit_stays() -> None:
    limit = limit_of(SpareMemory(1000))
    limit.reopened(0)

    for _ in range(LOOKS - 1):
        limit.reopened(1)

    assert limit.bytes == 150


def test_as_much_was_always_left_the_limit_sinks_by_that() -> None:
    limit = limit_of(SpareMemory(1000))
    for _ in range(5):
        limit.reopened(0)

    for left in [120, 70, *[200] * (LOOKS - 2)]:
        limit.reopened(left)

    assert limit.bytes == 350 - 70


def test_more_was_left_than_the_limit_may_sink_it_is_its_least() -> None:
    limit = limit_of(SpareMemory(1000))
    limit.reopened(0)

    for _ in range(3 * LOOKS):
        limit.reopened(90)

    assert limit.bytes == LEAST


def test_ran_low_in_between_what_was_left_before_does_not_count() -> None:
    limit = limit_of(SpareMemory(1000))
    for _ in range(LOOKS - 1):
        limit.reopened(90)

    limit.reopened(0)
    limit.reopened(90)

    assert limit.bytes == 150


def test_spare_memory_is_lent_out_the_limit_stays() -> None:
    spare = SpareMemory(STEP)
    limit, other = limit_of(spare), limit_of(spare)
    other.reopened(0)

    limit.reopened(0)

    assert (limit.bytes, other.bytes) == (LEAST, LEAST + STEP)


def test_sunk_or_closed_what_was_borrowed_is_given_back() -> None:
    spare = SpareMemory(2 * STEP)
    limit = limit_of(spare)
    limit.reopened(0)
    limit.reopened(0)
    assert not spare.borrow(1)

    for _ in range(LOOKS):
        limit.reopened(30)
    assert spare.borrow(30)
    spare.give_back(30)
    limit.close()

    assert spare.borrow(2 * STEP)
