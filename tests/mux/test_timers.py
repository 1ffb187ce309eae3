from __future__ import annotations

import weakref
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from usbmux.mux.timers import Timers


@dataclass(eq=False)
class Sleeper:
    """Something that wants to be woken; cannot be compared, as a connection cannot."""

    deadline: float | None = None
    planned: list[tuple[float, int]] = field(default_factory=list)


def plan(timers: Timers[Sleeper], owner: Sleeper, deadline: float | None) -> None:
    owner.deadline = deadline
    timers.plan(owner)


def wake(timers: Timers[Sleeper], now: float) -> list[Sleeper]:
    """All that are due, each of which then sleeps for ever."""
    woken = []
    while (owner := timers.pop_due(now)) is not None:
        woken.append(owner)
        plan(timers, owner, None)
    return woken


def test_timers_empty_want_nothing() -> None:
    timers = Timers[Sleeper]()
    assert timers.deadline is None
    assert timers.pop_due(1e9) is None


def test_timers_owner_without_deadline_is_not_kept() -> None:
    timers = Timers[Sleeper]()
    timers.plan(Sleeper())
    assert timers.deadline is None


def test_timers_owners_come_up_by_deadline_and_not_before() -> None:
    timers, late, early = Timers[Sleeper](), Sleeper(), Sleeper()
    plan(timers, late, 20)
    plan(timers, early, 10)
    assert timers.deadline == 10
    assert wake(timers, 9.999) == []
    assert wake(timers, 10) == [early]
    assert timers.deadline == 20
    assert wake(timers, 30) == [late]
    assert timers.deadline is None


def test_timers_same_deadlines_come_up_in_the_order_of_planning() -> None:
    timers, owners = Timers[Sleeper](), [Sleeper() for _ in range(5)]
    for owner in owners:
        plan(timers, owner, 10)
    assert wake(timers, 10) == owners


def test_timers_deadline_moved_later_is_found_when_the_early_entry_comes_up() -> None:
    timers, owner = Timers[Sleeper](), Sleeper()
    plan(timers, owner, 10)
    plan(timers, owner, 20)
    assert timers.deadline == 10
    assert wake(timers, 15) == []
    assert timers.deadline == 20
    assert wake(timers, 20) == [owner]


def test_timers_owners_that_want_nothing_any_more_go_together() -> None:
    timers, owners, last = Timers[Sleeper](), [Sleeper() for _ in range(5)], Sleeper()
    for deadline, owner in enumerate(owners):
        plan(timers, owner, deadline)
        owner.deadline = None
    plan(timers, last, 10)
    assert timers.deadline == 0
    assert wake(timers, 0) == []
    assert timers.deadline == 10
    plan(timers, owners[0], 7)
    assert timers.deadline == 7


def test_timers_deadline_moved_earlier_wakes_once() -> None:
    timers, owner = Timers[Sleeper](), Sleeper()
    plan(timers, owner, 20)
    plan(timers, owner, 10)
    assert timers.deadline == 10
    assert wake(timers, 30) == [owner]
    assert timers.deadline is None


def test_timers_deadline_moved_earlier_and_back_wakes_at_the_later_one() -> None:
    timers, owner = Timers[Sleeper](), Sleeper()
    plan(timers, owner, 20)
    plan(timers, owner, 10)
    plan(timers, owner, 20)
    assert wake(timers, 15) == []
    assert timers.deadline == 20
    assert wake(timers, 20) == [owner]


def test_timers_deadline_withdrawn_does_not_wake() -> None:
    timers, owner = Timers[Sleeper](), Sleeper()
    plan(timers, owner, 10)
    plan(timers, owner, None)
    assert wake(timers, 20) == []
    assert timers.deadline is None
    plan(timers, owner, 30)
    assert wake(timers, 30) == [owner]


def test_timers_two_alternating_deadlines_keep_a_bounded_number_of_entries() -> None:
    timers, owner = Timers[Sleeper](), Sleeper()
    for tick in range(1000):  # an acknowledgement now and then, always on top of a far linger deadline
        now = tick * 0.01
        plan(timers, owner, now + 30)
        plan(timers, owner, now + 0.005)
        assert timers.pop_due(now + 0.005) is owner
        plan(timers, owner, now + 30)
        assert len(timers._heap) <= 2
    assert wake(timers, 9.99 + 29.9) == []
    assert wake(timers, 9.99 + 30) == [owner]


def test_timers_many_deadlines_withdrawn_one_wake_is_enough_for_all() -> None:
    timers, owners, waiting = Timers[Sleeper](), [Sleeper() for _ in range(200)], Sleeper()
    for tick, owner in enumerate(owners):
        plan(timers, owner, 10 + tick)
    plan(timers, waiting, 500)
    for owner in owners:
        plan(timers, owner, None)
    assert wake(timers, 10) == []
    assert timers.deadline == 500
    assert wake(timers, 500) == [waiting]


def test_timers_owner_forgotten_does_not_wake_and_is_not_kept() -> None:
    timers, owner, other = Timers[Sleeper](), Sleeper(), Sleeper()
    plan(timers, owner, 20)
    plan(timers, owner, 10)
    plan(timers, other, 15)
    owner.deadline = None
    timers.forget(owner)
    kept = weakref.ref(owner)
    del owner
    assert kept() is None
    assert wake(timers, 30) == [other]
    assert timers.deadline is None


def test_timers_many_are_forgotten_few_entries_are_kept() -> None:
    timers, waiting = Timers[Sleeper](), Sleeper()
    plan(timers, waiting, 5)
    for tick in range(1000):  # connections that are answered, and end, long before their deadline
        owner = Sleeper()
        plan(timers, owner, 10 + tick)
        timers.forget(owner)
        assert len(timers._heap) < 100
    assert wake(timers, 2000) == [waiting]


def test_timers_many_are_forgotten_the_others_wake_in_order() -> None:
    timers, owners = Timers[Sleeper](), [Sleeper() for _ in range(500)]
    for number, owner in enumerate(owners):
        plan(timers, owner, number * 7 % 500)
    waiting = [owner for number, owner in enumerate(owners) if number * 7 % 500 % 20 == 3]
    for owner in owners:
        if owner not in waiting:
            timers.forget(owner)
    assert [owner.deadline for owner in waiting] != list(range(3, 500, 20))
    assert timers.deadline is not None
    assert timers.deadline <= 3
    for deadline in range(3, 500, 20):
        assert [owner.planned for owner in wake(timers, deadline)] == [[]]
    assert timers.deadline is None


STEPS = st.lists(st.tuples(st.integers(0, 3), st.one_of(st.none(), st.integers(1, 30)), st.integers(0, 5)))


@settings(derandomize=True)
@given(STEPS)
def test_timers_any_plans_wake_exactly_those_that_are_due(steps: list[tuple[int, int | None, int]]) -> None:
    timers, owners, now = Timers[Sleeper](), [Sleeper() for _ in range(4)], 0
    for who, delay, passed in steps:
        plan(timers, owners[who], None if delay is None else now + delay)
        now += passed
        due = [owner for owner in owners if owner.deadline is not None and owner.deadline <= now]
        assert set(map(id, wake(timers, now))) == set(map(id, due))
        waiting = [owner.deadline for owner in owners if owner.deadline is not None]
        assert not waiting or (timers.deadline is not None and timers.deadline <= min(waiting))
        assert timers.deadline is None or timers.deadline > now
