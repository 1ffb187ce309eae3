from __future__ import annotations

from usbmux.daemon.unread import MAX_UNREAD, MAX_UNREAD_OF_USER, Unread


def test_client_leaves_more_than_its_bound_it_is_too_much() -> None:
    unread = Unread()
    assert not unread.is_too_much(1000, MAX_UNREAD)
    assert unread.is_too_much(1000, MAX_UNREAD + 1)


def test_clients_of_a_user_leave_more_than_its_bound_it_is_too_much_for_each_that_leaves_anything() -> None:
    unread = Unread()
    unread.add(1000, MAX_UNREAD_OF_USER)
    assert not unread.is_too_much(1000, 1)
    unread.add(1000, 1)
    assert unread.is_too_much(1000, 1)
    assert not unread.is_too_much(1000, 0)
    assert not unread.is_too_much(1001, 1)
    assert not unread.is_too_much(None, 1)
    unread.add(1000, -1)
    assert not unread.is_too_much(1000, 1)
