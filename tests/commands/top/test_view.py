from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.commands.top.made_up import CLIENT, CONNECTION, LAB, LISTENER, NAMES, OTHER, PHONE, model_of, status
from usbmux.admin.message import ConnectionState, PhoneState
from usbmux.commands.top.model import TopModel
from usbmux.commands.top.view import Order, View

if TYPE_CHECKING:
    from usbmux.commands.top.sample import Sample

BROKEN = replace(PHONE, port_path="1-9", udid=None, state=PhoneState.QUARANTINED, last_error="CLAIMED by another")
SAMPLE = TopModel().take(status(OTHER, PHONE, BROKEN, CLIENT, LISTENER, CONNECTION), {**NAMES, LAB: "Zoë's"}, 0.0)


def ports(view: View, sample: Sample = SAMPLE) -> list[str]:
    return [phone.status.port_path for phone in view.phones(sample)]


def numbers(view: View, sample: Sample = SAMPLE) -> list[int]:
    return [row.client.number for row in view.clients(sample)]


def test_nothing_is_filtered_all_are_there_port_ten_behind_nine() -> None:
    assert ports(View()) == ["1-2", "1-9", "1-10"]
    assert numbers(View()) == [7, 8]


@pytest.mark.parametrize(
    ("words", "phones", "clients"),
    [
        ("anna", ["1-2"], [7]),
        ("  ANNA ", ["1-2"], [7]),
        ("ssh", ["1-2"], [7]),
        ("4711", ["1-2"], [7]),
        ("anna ssh", ["1-2"], [7]),
        ("anna finder", [], []),
        ("quarantined", ["1-9"], []),
        ("claimed", ["1-9"], []),
        ("listening", [], [8]),
        ("1-10", ["1-10"], []),
        ("ZOË", ["1-10"], []),
        ("nobody", [], []),
    ],
)
def test_words_are_typed_rows_with_each_of_them_are_shown(words: str, phones: list[str], clients: list[int]) -> None:
    assert ports(View(words)) == phones
    assert numbers(View(words)) == clients


def test_words_are_in_two_figures_next_to_each_other_they_are_not_found_across() -> None:
    assert numbers(View("ssh4711")) == []


def test_order_is_changed_again_and_again_all_come_round() -> None:
    order, met = Order.PLACE, []
    for _ in Order:
        met.append(order)
        order = order.following
    assert met == list(Order)
    assert order is Order.PLACE


def busy() -> Sample:
    """Client 9 moves most, 8 waits."""
    connections = [replace(CONNECTION, client=number, udid=LAB) for number in (8, 9)]
    clients = [replace(CLIENT, number=8, program="b"), replace(CLIENT, number=9, program="A"), CLIENT]
    model = model_of(status(PHONE, OTHER, *clients, *connections))
    connections = [replace(connections[0], phone_stalled_s=0.5), replace(connections[1], bytes_to_phone=10)]
    return model.take(status(PHONE, replace(OTHER, bytes_from_phone=9), *clients, *connections), NAMES, 1.0)


@pytest.mark.parametrize(
    ("order", "phones", "clients"),
    [
        (Order.PLACE, ["1-2", "1-10"], [7, 8, 9]),
        (Order.RATE, ["1-10", "1-2"], [9, 7, 8]),
        (Order.NAME, ["1-2", "1-10"], [9, 8, 7]),
        (Order.TROUBLE, ["1-10", "1-2"], [8, 7, 9]),
    ],
)
def test_order_is_chosen_rows_have_it(order: Order, phones: list[str], clients: list[int]) -> None:
    sample = busy()
    assert ports(View(order=order), sample) == phones
    assert numbers(View(order=order), sample) == clients


@given(st.text(max_size=8), st.sampled_from(Order))
def test_anything_is_typed_what_is_shown_is_a_part_and_in_order(words: str, order: Order) -> None:
    shown = View(words, order).clients(SAMPLE)
    everything = View(order=order).clients(SAMPLE)
    assert shown == [row for row in everything if row in shown]
    assert all(row in View(words[:-1].rstrip(), order).clients(SAMPLE) for row in shown)


def test_state_of_a_connection_is_a_word_too() -> None:
    sample = TopModel().take(status(CLIENT, replace(CONNECTION, state=ConnectionState.DRAINING)), {}, 0.0)
    assert numbers(View("draining"), sample) == [7]
