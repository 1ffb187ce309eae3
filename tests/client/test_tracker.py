from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from usbmux.client.device import Device, DeviceAttached, DeviceDetached, DevicePaired
from usbmux.client.tracker import DeviceTracker, backoff_delays_s
from usbmux.control.message import Attached, Detached, DeviceRecord, Paired

if TYPE_CHECKING:
    from usbmux.client.device import DeviceEvent


def record(device_id: int, udid: str, connection_type: str = "USB") -> DeviceRecord:
    return DeviceRecord(device_id, udid, connection_type=connection_type)


def attached(device_id: int, udid: str, connection_type: str = "USB") -> DeviceAttached:
    return DeviceAttached(Device.from_record(record(device_id, udid, connection_type)))


def detached(device_id: int, udid: str, connection_type: str = "USB") -> DeviceDetached:
    return DeviceDetached(Device.from_record(record(device_id, udid, connection_type)))


def tracker_of(*records: DeviceRecord) -> DeviceTracker:
    """A tracker that knows these phones and has just lost the daemon."""
    tracker = DeviceTracker()
    for each in records:
        tracker.receive(Attached(each))
    tracker.connection_lost()
    return tracker


def test_unknown_phone_detached_or_paired_is_no_event() -> None:
    tracker = DeviceTracker()
    assert tracker.receive(Detached(1)) == []
    assert tracker.receive(Paired(1)) == []


def test_known_phone_paired_and_detached_is_reported_whole() -> None:
    tracker = DeviceTracker()
    assert tracker.receive(Attached(record(1, "A"))) == [attached(1, "A")]
    assert tracker.receive(Paired(1)) == [DevicePaired(Device.from_record(record(1, "A")))]
    assert tracker.receive(Detached(1)) == [detached(1, "A")]
    assert tracker.receive(Detached(1)) == []


def test_known_phone_attached_again_is_no_event() -> None:
    tracker = DeviceTracker()
    tracker.receive(Attached(record(1, "A")))
    assert tracker.receive(Attached(record(1, "A"))) == []


def test_id_taken_by_another_phone_detaches_the_former() -> None:
    tracker = DeviceTracker()
    tracker.receive(Attached(record(1, "A")))
    assert tracker.receive(Attached(record(1, "B"))) == [detached(1, "A"), attached(1, "B")]


def test_lost_phone_back_under_its_id_is_no_event() -> None:
    tracker = tracker_of(record(1, "A"))
    assert tracker.receive(Attached(record(1, "A"))) == []
    assert tracker.settle() == []


def test_lost_phone_not_back_yet_leaves_the_tracker_unsettled() -> None:
    assert not tracker_of(record(1, "A")).is_settled
    assert tracker_of().is_settled


def test_lost_phone_back_under_another_id_is_detached_and_attached() -> None:
    tracker = tracker_of(record(1, "A"))
    assert tracker.receive(Attached(record(7, "A"))) == [detached(1, "A"), attached(7, "A")]
    assert tracker.is_settled


def test_lost_phone_not_back_is_detached_when_settled() -> None:
    tracker = tracker_of(record(1, "A"), record(2, "B"))
    assert tracker.receive(Attached(record(2, "B"))) == []
    assert tracker.settle() == [detached(1, "A")]
    assert tracker.is_settled


def test_lost_phone_not_back_yet_is_not_what_the_new_daemon_means_by_its_id() -> None:
    tracker = tracker_of(record(1, "A"))
    assert tracker.receive(Detached(1)) == []
    assert tracker.receive(Paired(1)) == []
    assert tracker.receive(Attached(record(1, "A"))) == []


def test_lost_phones_that_swapped_ids_are_each_detached_before_the_id_is_attached() -> None:
    tracker = tracker_of(record(1, "A"), record(2, "B"))
    assert tracker.receive(Attached(record(1, "B"))) == [detached(1, "A"), detached(2, "B"), attached(1, "B")]
    assert tracker.receive(Attached(record(2, "A"))) == [attached(2, "A")]


def test_lost_phone_attached_twice_is_matched_by_the_way_it_is_attached() -> None:
    tracker = tracker_of(record(1, "A"), record(2, "A", "Network"))
    assert tracker.receive(Attached(record(5, "A", "Network"))) == [
        detached(2, "A", "Network"),
        attached(5, "A", "Network"),
    ]
    assert tracker.receive(Attached(record(1, "A"))) == []


def test_delays_double_up_to_two_seconds() -> None:
    assert list(islice(backoff_delays_s(), 7)) == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


phones = st.dictionaries(st.integers(1, 4), st.sampled_from("ABCD"))


@given(st.lists(phones, min_size=1, max_size=4))
def test_any_restarts_leave_a_caller_who_counts_by_id_with_what_the_daemon_has(restarts: list[dict[int, str]]) -> None:
    tracker = DeviceTracker()
    known: dict[int, Device] = {}

    def apply(events: list[DeviceEvent]) -> None:
        for event in events:
            if isinstance(event, DeviceAttached):
                assert event.device.device_id not in known
                known[event.device.device_id] = event.device
            else:
                assert known.pop(event.device.device_id) == event.device

    for daemon in restarts:
        for device_id, udid in daemon.items():
            apply(tracker.receive(Attached(record(device_id, udid))))
        apply(tracker.settle())
        assert {device_id: device.udid for device_id, device in known.items()} == daemon
        tracker.connection_lost()
