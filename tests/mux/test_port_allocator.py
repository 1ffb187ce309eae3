from __future__ import annotations

import pytest

from usbmux.mux.port_allocator import PortAllocator

ALL = 65535


@pytest.fixture
def ports() -> PortAllocator:
    return PortAllocator(quarantine_s=10.0)


def allocated(ports: PortAllocator, now: float = 0) -> int:
    port = ports.allocate(now)
    assert port is not None
    return port


def test_ports_seventy_thousand_one_at_a_time_go_in_a_circle_without_0(ports: PortAllocator) -> None:
    handed_out = []
    for _ in range(70_000):
        port = allocated(ports)
        ports.release(port, 0, rest=False)
        handed_out.append(port)
    assert handed_out == [*range(1, 65536), *range(1, 70_000 - 65_535 + 1)]


def test_ports_all_in_use_are_all_different_and_then_there_are_none(ports: PortAllocator) -> None:
    assert {ports.allocate(0) for _ in range(ALL)} == set(range(1, 65536))
    assert ports.allocate(0) is None
    ports.release(4711, 0, rest=False)
    assert ports.allocate(0) == 4711
    assert ports.allocate(0) is None


def test_ports_in_use_are_skipped_after_the_wrap(ports: PortAllocator) -> None:
    for _ in range(ALL):
        ports.allocate(0)
    for port in (1, 3, 65535):
        ports.release(port, 0, rest=False)
    assert [ports.allocate(0) for _ in range(4)] == [1, 3, 65535, None]


def test_ports_released_to_rest_are_not_used_for_the_quarantine(ports: PortAllocator) -> None:
    for _ in range(ALL):
        ports.allocate(0)
    for port, when in ((5, 100), (6, 101), (7, 102)):
        ports.release(port, when, rest=True)
    ports.release(9, 102, rest=False)
    ports.release(4, 102, rest=False)
    assert [ports.allocate(109.9), ports.allocate(110), ports.allocate(111)] == [4, 5, 6]
    assert ports.allocate(111.9) == 9


def test_ports_resting_and_no_other_is_free_longest_rested_is_used(ports: PortAllocator) -> None:
    for _ in range(ALL):
        ports.allocate(0)
    for port, when in ((6, 100), (5, 101), (7, 102)):
        ports.release(port, when, rest=True)
    assert ports.allocate(103) == 6
    assert not ports.is_resting(6, 103)
    assert [ports.allocate(103) for _ in range(3)] == [5, 7, None]


def test_ports_all_end_by_our_own_reset_at_any_rate_go_in_a_circle(ports: PortAllocator) -> None:
    handed_out = []
    for _ in range(140_000):
        port = allocated(ports)
        ports.release(port, 0, rest=True)
        handed_out.append(port)
    assert handed_out == [*range(1, 65536), *range(1, 65536), *range(1, 140_000 - 2 * ALL + 1)]


def test_ports_all_others_rest_the_one_in_use_is_left_alone(ports: PortAllocator) -> None:
    long_lived = allocated(ports)
    for _ in range(ALL - 1):
        ports.release(allocated(ports), 0, rest=True)
    assert allocated(ports) == long_lived + 1


def test_ports_resting_are_skipped_in_the_circle(ports: PortAllocator) -> None:
    for _ in range(ALL):
        ports.allocate(0)
    ports.release(1, 5, rest=True)
    ports.release(2, 5, rest=False)
    assert ports.allocate(6) == 2


def test_port_rests_until_its_quarantine_ends(ports: PortAllocator) -> None:
    port = allocated(ports)
    assert not ports.is_resting(port, 0)
    ports.release(port, 100, rest=True)
    assert ports.is_resting(port, 100)
    assert ports.is_resting(port, 109.9)
    assert not ports.is_resting(port, 110)
    assert not ports.is_resting(port + 1, 100)


def test_port_released_without_rest_does_not_rest(ports: PortAllocator) -> None:
    port = allocated(ports)
    ports.release(port, 100, rest=False)
    assert not ports.is_resting(port, 100)


def test_port_used_again_after_its_quarantine_does_not_rest(ports: PortAllocator) -> None:
    for _ in range(ALL):
        ports.allocate(0)
    ports.release(7, 0, rest=True)
    assert ports.allocate(10) == 7
    assert not ports.is_resting(7, 10)
