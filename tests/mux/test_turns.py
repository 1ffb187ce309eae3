from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbmux.mux.turns import Turns

LONG = 100


class Senders:
    """Senders with so many bytes to send each, in packets of one size each."""

    def __init__(self, turns: Turns[str], **sizes: int) -> None:
        self.turns = turns
        self.sizes = sizes
        self.left: Counter[str] = Counter()

    def want(self, name: str, count: int) -> None:
        self.left[name] += count
        self.join(name)

    def join(self, name: str) -> None:
        if count := min(self.left[name], self.sizes[name]):
            self.turns.join(name, count)

    def pull(self, times: int = 1) -> str:
        """What was sent by the next packets, a letter a packet."""
        pulled = []
        for _ in range(times):
            name = self.turns.next()
            if name is None:
                break
            count = min(self.left[name], self.sizes[name])
            self.left[name] -= count
            self.turns.spend(name, count)
            self.join(name)
            pulled.append(name)
        return "".join(pulled)


def test_nobody_waits_nobody_is_next() -> None:
    assert Turns[str]().next() is None


def test_one_sender_is_next_again_and_again() -> None:
    senders = Senders(Turns(), a=100)
    senders.want("a", 1000)
    assert senders.pull(20) == "a" * 10


def test_joining_twice_is_one_turn() -> None:
    turns = Turns[str]()
    turns.join("a", 10)
    turns.join("a", 10)
    assert (turns.next(), turns.next()) == ("a", None)


def test_long_packets_take_turns() -> None:
    senders = Senders(Turns(), a=100, b=100, c=100)
    for name in "abc":
        senders.want(name, 300)
    assert senders.pull(20) == "abcabcabc"


def test_short_packets_are_as_many_as_make_up_a_long_one() -> None:
    senders = Senders(Turns(), a=100, b=25)
    senders.want("a", 300)
    senders.want("b", 300)
    assert senders.pull(20) == "bbbabbbbabbbbab"


def test_newcomer_that_sends_little_goes_before_all_that_send_much() -> None:
    senders = Senders(Turns(), a=100, b=100, c=10)
    senders.want("a", 1000)
    senders.want("b", 1000)
    assert senders.pull(3) == "aba"
    senders.want("c", 10)
    assert senders.pull(3) == "cba"


def test_newcomer_again_and_again_goes_first_while_it_sends_little() -> None:
    senders = Senders(Turns(), a=100, b=100, c=10)
    senders.want("a", 10_000)
    senders.want("b", 10_000)
    assert senders.pull(2) == "ab"
    for _ in range(20):
        senders.want("c", 10)
        assert senders.pull(2)[0] == "c"


def test_newcomer_again_and_again_gets_no_more_than_its_share() -> None:
    senders = Senders(Turns(), a=100, c=50)
    senders.want("a", 10_000)
    sent = ""
    for _ in range(30):
        senders.want("c", 50)
        sent += senders.pull()
    assert sent.count("a") in (9, 10, 11)


def test_silent_one_has_saved_nothing() -> None:
    senders = Senders(Turns(), a=100, b=100)
    senders.want("a", 10_000)
    assert senders.pull(50) == "a" * 50
    senders.want("b", 1000)
    assert senders.pull(4) in ("abab", "baba")


def test_more_sent_than_said_is_made_up_for() -> None:
    turns = Turns[str]()
    turns.join("a", 10)
    turns.join("b", 100)
    assert turns.next() == "a"
    turns.spend("a", 300)
    turns.join("a", 10)
    served = []
    for _ in range(3):
        served.append(turns.next())
        assert served[-1] is not None
        turns.spend(served[-1], 100)
        turns.join("b", 100)
    assert served == ["b", "b", "b"]


@pytest.mark.parametrize("is_alone", [True, False])
def test_sent_while_nobody_waited_counts_as_a_turn(is_alone: bool) -> None:
    senders = Senders(Turns(), a=100, b=100, c=60)
    for name, count in (("a", 250), ("a", 250), ("b", 70), ("c", 10), ("b", 70)):
        if is_alone:
            senders.turns.spend_alone(name, count)
        else:
            senders.turns.join(name, count)
            assert senders.turns.next() == name
            senders.turns.spend(name, count)
    for name in "abc":
        senders.want(name, 600)
    # The last one began at 320: until then a has had enough up to 500, b up to 390, and c has saved nothing.
    assert senders.pull(13) == "ccbccbaccbacb"


def test_forgotten_one_is_not_next_and_has_no_past() -> None:
    turns = Turns[str]()
    turns.join("a", 100)
    assert turns.next() == "a"
    turns.spend("a", 100)
    turns.join("a", 100)
    turns.forget("a")
    assert turns.next() is None
    turns.join("b", 100)
    turns.join("a", 99)
    assert (turns.next(), turns.next(), turns.next()) == ("a", "b", None)


def test_forgotten_one_that_comes_back_stands_where_it_came_back() -> None:
    turns = Turns[str]()
    turns.join("a", 1)
    turns.forget("a")
    turns.join("b", 10)
    turns.join("a", 20)
    assert (turns.next(), turns.next(), turns.next()) == ("b", "a", None)


@given(sizes=st.lists(st.integers(1, LONG), min_size=2, max_size=6), steps=st.integers(50, 300))
def test_senders_without_end_get_the_same_share_whatever_their_packets(sizes: list[int], steps: int) -> None:
    names = "abcdef"[: len(sizes)]
    senders = Senders(Turns(), **dict(zip(names, sizes, strict=True)))
    for name in names:
        senders.want(name, 10**6)
    sent: Counter[str] = Counter()
    for _ in range(steps):
        name = senders.pull()
        sent[name] += senders.sizes[name]
        assert max(sent.values()) - min(sent[name] for name in names) <= 2 * LONG


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 400)), max_size=60))
def test_everybody_who_joined_is_next_at_some_time(wants: list[tuple[str, int]]) -> None:
    senders = Senders(Turns(), a=100, b=7, c=1, d=250)
    for name, count in wants:
        senders.want(name, count)
        senders.pull()
    senders.pull(10**5)
    assert not +senders.left
