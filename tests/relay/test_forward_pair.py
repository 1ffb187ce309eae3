from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbmux.control.address import UnixAddress
from usbmux.errors import AddressError
from usbmux.relay.forward_pair import ForwardPair, HandedName, Stdio, TcpPorts


@pytest.mark.parametrize(
    ("text", "local", "remote"),
    [
        ("2222:22", TcpPorts(None, 2222, 2222), TcpPorts(None, 22, 22)),
        ("0:22", TcpPorts(None, 0, 0), TcpPorts(None, 22, 22)),
        ("::1:22", None, None),
        ("[::1]:2222:22", TcpPorts("::1", 2222, 2222), TcpPorts(None, 22, 22)),
        ("localhost:2222:22", TcpPorts("localhost", 2222, 2222), TcpPorts(None, 22, 22)),
        ("2200-2210:22", TcpPorts(None, 2200, 2210), TcpPorts(None, 22, 22)),
        ("2200-2202:22-24", TcpPorts(None, 2200, 2202), TcpPorts(None, 22, 24)),
        ("7-7:7-7", TcpPorts(None, 7, 7), TcpPorts(None, 7, 7)),
        ("./ssh:22", UnixAddress("./ssh"), TcpPorts(None, 22, 22)),
        ("unix:/run/ssh:22", UnixAddress("/run/ssh"), TcpPorts(None, 22, 22)),
        ("fd:ssh:22", HandedName("ssh"), TcpPorts(None, 22, 22)),
        ("fd:3:22", HandedName("3"), TcpPorts(None, 22, 22)),
        ("-:22", Stdio(), TcpPorts(None, 22, 22)),
    ],
)
def test_pair_is_read_or_refused(text: str, local: object, remote: object) -> None:
    if local is None:
        with pytest.raises(AddressError):
            ForwardPair.parse(text)
        return
    pair = ForwardPair.parse(text)
    assert (pair.local, pair.remote) == (local, remote)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "write 2222:22"),
        ("2222", "write 2222:22"),
        (":22", "write 2222:22"),
        ("2222:", "write 2222:22"),
        ("x:22", "write 2222:22"),
        ("+1:22", "write 2222:22"),
        (":2222:22", "write 2222:22"),
        ("tcp:host/2222:22", "a port is missing (host:port)"),
        ("2222:0", "the phone's port is 0"),
        ("65536:22", "the local port is 65536"),
        ("2222:65536", "the phone's port is 65536"),
        ("2210-2200:22", "2210-2200 is no range"),
        ("0-3:22", "0-3 is no range"),
        ("2200-:22", "write 2222:22"),
        ("2200-2201:22-24", "2 local ports cannot lead to 3 ports"),
        ("2200:22-24", "1 local ports cannot lead to 3 ports"),
        ("./ssh:22-23", "1 local ports cannot lead to 2 ports"),
        ("-:22-23", "1 local ports cannot lead to 2 ports"),
        ("::1:2222:22", "goes in brackets"),
        ("[localhost]:2222:22", "'localhost' is no address of IP version 6"),
        ("a..b:2222:22", "'a..b' is no name of a computer"),
    ],
)
def test_pair_is_wrong_the_error_says_how(text: str, reason: str) -> None:
    with pytest.raises(AddressError) as caught:
        ForwardPair.parse(text)
    assert reason in str(caught.value)


@given(st.text(alphabet="0123456789-:./[]fdx ", max_size=20))
def test_any_text_is_a_pair_or_an_address_error(text: str) -> None:
    try:
        pair = ForwardPair.parse(text)
    except AddressError:
        return
    assert 1 <= pair.remote.first <= pair.remote.last <= 65535


@pytest.mark.parametrize(
    ("text", "expected"), [("1-3:22", True), ("1-3:22-24", False), ("1:22", False), ("1-1:22", False), ("./a:1", False)]
)
def test_only_a_range_that_leads_to_one_port_is_for_several_phones(text: str, expected: bool) -> None:
    assert ForwardPair.parse(text).is_for_several_phones is expected
