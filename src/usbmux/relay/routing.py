"""What the arguments of a forwarder mean together."""

from collections.abc import Iterator, Mapping, Sequence
from socket import socket

from usbmux.client.selection import names_port
from usbmux.control.address import TcpAddress, UnixAddress, parse_host
from usbmux.errors import AddressError
from usbmux.relay.forward_pair import ForwardPair, HandedName, TcpPorts
from usbmux.relay.phone_row import PhoneRow, has_wildcard
from usbmux.relay.route import LOOPBACK, HandedEnd, LocalEnd, Route
from usbmux.values import frozen


@frozen
class Routing:
    """The ways of a forwarder."""

    routes: tuple[Route, ...]
    row: PhoneRow | None = None
    """Says which phone has which place, if a route needs that."""


def routing_of(
    pairs: Sequence[ForwardPair],
    udids: Sequence[str] = (),
    hosts: Sequence[str] = LOOPBACK,
    handed: Mapping[str, socket] | None = None,
) -> Routing:
    """The ways that these pairs ask for.

    A range of local ports that leads to one port leads to several phones: the first to the first of `udids`, and so on;
    with none, or with one, each of them to the next phone that comes and fits, see `PhoneRow`. The n-th ports of
    several ranges lead to the same phone.

    Args:
        pairs: None of them about standard input and output.
        udids: Which phones; several only if every pair has as many local ports.
        hosts: Where to listen if a pair does not say so.
        handed: Listening sockets that somebody else has made, by their names.

    Raises:
        AddressError: They do not go together.
    """
    _check(pairs, udids)
    lengths = [_count(pair) for pair in pairs if pair.is_for_several_phones]
    row = PhoneRow(max(lengths), *udids) if lengths and len(udids) <= 1 else None
    routes = [route for pair in pairs for route in _routes(pair, udids, hosts, handed or {})]
    return Routing(tuple(routes), row)


def _check(pairs: Sequence[ForwardPair], udids: Sequence[str]) -> None:
    if len(udids) > 1:
        for pair in pairs:
            if not pair.is_for_several_phones or _count(pair) != len(udids):
                raise AddressError(f"{len(udids)} phones need {len(udids)} local ports each, such as 2201-2202:22")
    if len(udids) == 1 and names_port(udids[0]) and any(pair.is_for_several_phones for pair in pairs):
        raise AddressError(f"{udids[0]} is one phone at most; a range that leads to one port of a phone is for several")
    may_fit_several = len(udids) == 1 and all(pair.is_for_several_phones for pair in pairs)
    for udid in udids:
        if has_wildcard(udid) and not may_fit_several:
            raise AddressError(
                f"{udid!r} may be several phones, which need a range of local ports, such as 2201-2209:22"
            )


def _routes(
    pair: ForwardPair, udids: Sequence[str], hosts: Sequence[str], handed: Mapping[str, socket]
) -> Iterator[Route]:
    for index, local in _ends(pair, hosts, handed):
        port = pair.remote.first + (index if pair.remote.count > 1 else 0)
        if not pair.is_for_several_phones:
            yield Route(local, port, udids[0] if udids else None)
        elif len(udids) > 1:
            yield Route(local, port, udids[index])
        else:
            yield Route(local, port, place=index)


def _ends(pair: ForwardPair, hosts: Sequence[str], handed: Mapping[str, socket]) -> Iterator[tuple[int, LocalEnd]]:
    match pair.local:
        case TcpPorts(host, first):
            for index in range(pair.local.count):
                for each in map(parse_host, hosts) if host is None else (host,):
                    yield index, TcpAddress(each, first + index)
        case HandedName(name):
            if name not in handed:
                known = ", ".join(handed) or "none"
                raise AddressError(f"fd:{name}: no such socket was handed over by the service manager, only: {known}")
            yield 0, HandedEnd(name, handed[name])
        case UnixAddress():
            yield 0, pair.local
        case _:
            raise AddressError("-: standard input and output go with nothing else")


def _count(pair: ForwardPair) -> int:
    return pair.local.count if isinstance(pair.local, TcpPorts) else 1
