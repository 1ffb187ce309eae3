from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.commands.top.made_up import ANNA, CLIENT, CONNECTION, LAB, LISTENER, NAMES, OTHER, PHONE, model_of, status
from usbmux.admin.message import ClientStatus, ConnectionStatus, PhoneState, PhoneStatus
from usbmux.commands.top.flow import Flow
from usbmux.commands.top.model import TopModel

if TYPE_CHECKING:
    from usbmux.commands.top.sample import Sample

ALL = (PHONE, OTHER, CLIENT, LISTENER, CONNECTION)


def test_first_status_there_are_rows_and_no_rates() -> None:
    sample = TopModel().take(status(*ALL), NAMES, 0.0)
    anna, lab = sample.phones
    assert (anna.name, anna.clients, anna.stalled, anna.to_phone) == ("Anna's iPhone", (CLIENT,), 0, Flow())
    assert (lab.name, lab.clients) == (None, ())
    stream, listener = sample.clients
    assert (stream.connection, stream.phone_name, stream.to_phone) == (CONNECTION, "Anna's iPhone", Flow())
    assert (listener.connection, listener.phone_name) == (None, None)
    assert (sample.to_phones_per_s, sample.from_phones_per_s, sample.error) == (None, None, None)


def test_second_status_bytes_between_are_rates_of_client_and_phone() -> None:
    model = model_of(status(*ALL))
    moved = replace(CONNECTION, bytes_to_phone=1000, bytes_from_phone=50)
    phone = replace(PHONE, bytes_to_phone=1500, bytes_from_phone=70)
    sample = model.take(status(phone, OTHER, CLIENT, LISTENER, moved), NAMES, 2.0)
    assert (sample.clients[0].to_phone.per_s, sample.clients[0].from_phone.per_s) == (500, 25)
    assert (sample.phones[0].to_phone.per_s, sample.phones[0].from_phone.per_s) == (750, 35)
    assert (sample.phones[1].to_phone.per_s, sample.clients[1].to_phone) == (0, Flow())
    assert (sample.to_phones_per_s, sample.from_phones_per_s) == (750, 35)


def test_connection_waits_it_is_part_of_the_time_and_its_phone_counts_it() -> None:
    model = model_of(status(PHONE, CLIENT, CONNECTION))
    stalled = replace(CONNECTION, phone_stalled_s=0.25)
    sample = model.take(status(PHONE, CLIENT, stalled), NAMES, 1.0)
    assert (sample.clients[0].phone_stall, sample.clients[0].client_stall, sample.phones[0].stalled) == (0.25, 0, 1)
    stalled = replace(stalled, client_stalled_s=5.0)  # it began before it was long enough to be told of
    sample = model.take(status(PHONE, CLIENT, stalled), NAMES, 2.0)
    assert (sample.clients[0].phone_stall, sample.clients[0].client_stall, sample.phones[0].stalled) == (0, 1, 1)
    sample = model.take(status(PHONE, CLIENT, stalled), NAMES, 3.0)
    assert sample.phones[0].stalled == 0


def test_phone_is_closing_where_the_next_one_opens_both_are_told_apart() -> None:
    phones = (replace(PHONE, state=PhoneState.CLOSING), replace(PHONE, state=PhoneState.OPENING, udid=None), OTHER)
    assert [phone.key for phone in TopModel().take(status(*phones), {}, 0.0).phones] == ["1-2", "1-2 (2)", "1-10"]


def test_phone_is_plugged_in_elsewhere_its_history_goes_on() -> None:
    model = model_of(status(PHONE), status(replace(PHONE, bytes_to_phone=100)))
    sample = model.take(status(replace(PHONE, port_path="3-1", bytes_to_phone=300)), {}, 2.0)
    assert sample.phones[0].to_phone == Flow(200.0, (100.0, 200.0))


def test_phone_was_away_its_history_begins_anew() -> None:
    model = model_of(status(PHONE), status())
    assert model.take(status(replace(PHONE, bytes_to_phone=100)), {}, 2.0).phones[0].to_phone == Flow()


def test_clients_go_nothing_is_remembered_of_them() -> None:
    model = model_of(status(*ALL), status())
    assert not model._clients
    assert not model._phones


@given(st.lists(st.tuples(st.sets(st.sampled_from([ANNA, LAB])), st.sets(st.integers(1, 5)), st.integers(0, 2**40))))
def test_anything_is_told_sample_has_it_all_and_makes_sense(told: list[tuple[set[str], set[int], int]]) -> None:
    model = TopModel()
    for second, (udids, numbers, count) in enumerate(told):
        parts: tuple[PhoneStatus | ClientStatus | ConnectionStatus, ...] = (
            *(replace(PHONE, udid=udid, bytes_from_phone=count) for udid in sorted(udids)),
            *(replace(CLIENT, number=number) for number in sorted(numbers)),
            *(replace(CONNECTION, client=number, phone_stalled_s=float(count)) for number in numbers if number % 2),
        )
        sample: Sample = model.take(status(*parts), NAMES, float(second))
        assert [phone.status.udid for phone in sample.phones] == sorted(udids)
        assert [row.client.number for row in sample.clients] == sorted(numbers)
        assert len({phone.key for phone in sample.phones}) == len(udids)
        assert all(0 <= row.phone_stall <= 1 for row in sample.clients)
        assert all((flow.per_s or 0) >= 0 for phone in sample.phones for flow in (phone.to_phone, phone.from_phone))
