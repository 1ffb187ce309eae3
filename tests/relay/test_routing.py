from __future__ import annotations

import socket

import pytest

from usbmux.control.address import TcpAddress, UnixAddress
from usbmux.errors import AddressError
from usbmux.relay.forward_pair import ForwardPair
from usbmux.relay.route import HandedEnd, Route
from usbmux.relay.routing import Routing, routing_of


def _routing(*texts: str, udids: tuple[str, ...] = (), hosts: tuple[str, ...] = ("127.0.0.1",)) -> Routing:
    return routing_of([ForwardPair.parse(text) for text in texts], udids, hosts)


def _tcp(port: int, host: str = "127.0.0.1") -> TcpAddress:
    return TcpAddress(host, port)


def test_single_ports_lead_to_the_phone_that_was_named_or_to_the_only_one() -> None:
    assert _routing("2222:22", "./x:7").routes == (Route(_tcp(2222), 22), Route(UnixAddress("./x"), 7))
    assert _routing("2222:22", udids=("A",)) == Routing((Route(_tcp(2222), 22, "A"),))


def test_several_hosts_each_is_listened_at_unless_the_pair_has_its_own() -> None:
    routing = _routing("1:22", "[::]:2:22", hosts=("127.0.0.1", "::1"))
    assert routing.routes == (Route(_tcp(1), 22), Route(_tcp(1, "::1"), 22), Route(_tcp(2, "::"), 22))


def test_host_may_be_in_brackets_and_must_be_one() -> None:
    assert _routing("1:22", hosts=("[::1]",)).routes == (Route(_tcp(1, "::1"), 22),)
    for text in ("", "a..b", "127.0.0.1:22", "[lo]"):
        with pytest.raises(AddressError, match="is no "):
            _routing("1:22", hosts=(text,))


def test_two_ranges_of_one_length_lead_port_by_port_to_one_phone() -> None:
    routing = _routing("2200-2201:22-23", udids=("A",))
    assert routing == Routing((Route(_tcp(2200), 22, "A"), Route(_tcp(2201), 23, "A")))


def test_range_to_one_port_and_several_phones_goes_by_their_order() -> None:
    routing = _routing("2200-2201:22", "5900-5901:5900", udids=("B", "A"))
    assert [(route.local, route.device_port, route.udid) for route in routing.routes] == [
        (_tcp(2200), 22, "B"), (_tcp(2201), 22, "A"), (_tcp(5900), 5900, "B"), (_tcp(5901), 5900, "A"),
    ]  # fmt: skip
    assert routing.row is None


def test_range_to_one_port_and_no_phone_leads_to_places_of_one_row() -> None:
    routing = _routing("2200-2201:22", "5900-5902:5900", "80:80")
    assert [route.place for route in routing.routes] == [0, 1, 0, 1, 2, None]
    assert routing.row is not None
    assert routing.row.seen("ABCD") == [0, 1, 2]


def test_range_to_one_port_and_a_pattern_gives_places_to_those_that_fit() -> None:
    routing = _routing("2200-2209:22", udids=("A*",))
    assert routing.row is not None
    routing.row.seen(["B", "A1"])
    assert routing.row.udid(0) == "A1"


@pytest.mark.parametrize(
    ("texts", "udids", "reason"),
    [
        (("2200:22",), ("A", "B"), "2 phones need 2 local ports each"),
        (("2200-2202:22",), ("A", "B"), "2 phones need 2 local ports each"),
        (("2200-2201:22", "80:80"), ("A", "B"), "2 phones need 2 local ports each"),
        (("2200:22",), ("A*",), "need a range of local ports"),
        (("2200-2201:22", "80:80"), ("A*",), "need a range of local ports"),
        (("2200-2201:22",), ("A*", "B"), "need a range of local ports"),
        (("2200-2201:22",), ("1-2.3",), "1-2.3 is one phone at most"),
        (("fd:ssh:22",), (), "no such socket was handed over by the service manager, only: none"),
        (("-:22",), (), "go with nothing else"),
    ],
)
def test_they_do_not_go_together_the_error_says_why(
    texts: tuple[str, ...], udids: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(AddressError) as caught:
        _routing(*texts, udids=udids)
    assert reason in str(caught.value)


def test_handed_socket_is_found_by_its_name() -> None:
    with socket.socket() as sock:
        (route,) = routing_of([ForwardPair.parse("fd:ssh:22")], handed={"ssh": sock}).routes
    assert isinstance(route.local, HandedEnd)
    assert (route.local.sock, route.device_port) == (sock, 22)
