from __future__ import annotations

from usbmux.daemon.admission import Admission, ClientLimits, Refusal


def test_below_the_limits_everybody_is_admitted() -> None:
    admission = Admission(ClientLimits(total=3, for_each_uid=2))
    assert [admission.admit(uid) for uid in (0, 0, None)] == [None, None, None]
    assert admission.total == 3


def test_too_many_of_one_uid_the_next_of_it_is_refused_and_others_are_not() -> None:
    admission = Admission(ClientLimits(total=10, for_each_uid=2))
    admission.admit(5)
    admission.admit(5)
    assert admission.admit(5) == "2 clients of uid 5 are connected, which is the limit"
    assert admission.admit(6) is None
    assert admission.total == 3
    assert admission.refused == {Refusal.CLIENTS_OF_USER: 1}


def test_too_many_of_unknown_users_are_refused() -> None:
    admission = Admission(ClientLimits(total=10, for_each_uid=1))
    assert admission.admit(None) is None
    assert admission.admit(None) == "1 clients of unknown users are connected, which is the limit"


def test_too_many_in_all_everybody_is_refused() -> None:
    admission = Admission(ClientLimits(total=2, for_each_uid=2))
    admission.admit(1)
    admission.admit(2)
    assert admission.admit(3) == "2 clients are connected, which is the limit"
    assert admission.refused == {Refusal.CLIENTS: 1}


def test_one_with_several_sockets_counts_as_often() -> None:
    admission = Admission(ClientLimits(total=4, for_each_uid=3))
    assert admission.admit(None, sockets=2) is None
    assert admission.admit(None, sockets=2) == "2 clients of unknown users are connected, which is the limit"
    assert admission.admit(5, sockets=3) == "2 clients are connected, which is the limit"
    assert admission.admit(5, sockets=2) is None
    admission.release(None, sockets=2)
    admission.release(5, sockets=2)
    assert admission.total == 0
    assert not admission._counts


def test_released_there_is_room_again() -> None:
    admission = Admission(ClientLimits(total=2, for_each_uid=1))
    admission.admit(1)
    admission.admit(2)
    admission.release(1)
    assert admission.admit(2) is not None
    assert admission.admit(1) is None
    admission.release(1)
    admission.release(2)
    assert admission.total == 0
    assert not admission._counts
