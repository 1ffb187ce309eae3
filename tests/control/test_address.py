"""Rules C1 and C39 to C42."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbmux.control.address import (
    Address,
    TcpAddress,
    UnixAddress,
    address_from_environment,
    bound_address,
    default_address,
    parse_address,
    parse_host,
)
from usbmux.errors import AddressError

UNIX = UnixAddress("/run/mux")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("/run/mux", UNIX),
        ("unix:/run/mux", UNIX),
        ("UNIX:/run/mux", UNIX),
        ("Unix:/run/mux", UNIX),
        ("unix:///run/mux", UNIX),
        ("UNIX:///run/mux", UNIX),
        ("./mux", UnixAddress("./mux")),
        ("run/mux", UnixAddress("run/mux")),
        ("../mux", UnixAddress("../mux")),
        ("unix:mux", UnixAddress("mux")),
        ("unix:./mux", UnixAddress("./mux")),
        ("/run/with space:5", UnixAddress("/run/with space:5")),
        ("/", UnixAddress("/")),
        ("//run", UnixAddress("//run")),
        ("localhost:27015", TcpAddress("localhost", 27015)),
        ("127.0.0.1:27015", TcpAddress("127.0.0.1", 27015)),
        ("mux-1.example.org:1", TcpAddress("mux-1.example.org", 1)),
        ("example.org.:1", TcpAddress("example.org.", 1)),
        ("a" * 63 + ":1", TcpAddress("a" * 63, 1)),
        ("b\u00fccher.example:1", TcpAddress("b\u00fccher.example", 1)),
        ("127.0.0.1:0", TcpAddress("127.0.0.1", 0)),
        ("127.0.0.1:65535", TcpAddress("127.0.0.1", 65535)),
        ("[::1]:27015", TcpAddress("::1", 27015)),
        ("[fe80::1%eth0]:27015", TcpAddress("fe80::1%eth0", 27015)),
        ("tcp://localhost:27015", TcpAddress("localhost", 27015)),
        ("TCP://localhost:27015", TcpAddress("localhost", 27015)),
        ("tcp:localhost:27015", TcpAddress("localhost", 27015)),
        ("tcp://[::1]:27015", TcpAddress("::1", 27015)),
        ("tcp:[::]:27015", TcpAddress("::", 27015)),
    ],
)
def test_address_each_spelling_read(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    ("text", "help_"),
    [
        ("", "path such as"),
        ("unix:", "no path"),
        ("unix://", "no path"),
        ("/run/\0", "no path"),
        ("/run/\ud800", "no path"),
        ("usbmuxd", "port is missing"),
        ("localhost", "port is missing"),
        ("tcp:27015", "port is missing"),
        ("tcp://localhost", "port is missing"),
        ("tcp:", "path such as"),
        ("localhost:", "expected host:port"),
        (":27015", "expected host:port"),
        ("localhost:ssh", "expected host:port"),
        ("localhost:-1", "expected host:port"),
        ("localhost: 1", "expected host:port"),
        ("local host:1", "expected host:port"),
        ("localhost:1\n", "expected host:port"),
        ("localhost:\u0661", "expected host:port"),
        ("tcp://localhost:1/", "expected host:port"),
        ("C:\\mux", "expected host:port"),
        ("localhost:65536", "at most 65535"),
        ("[::1]:99999", "at most 65535"),
        ("localhost:100000", "expected host:port"),
        ("a..b:27015", "no name of a computer"),
        (".:27015", "no name of a computer"),
        ("a" * 64 + ":27015", "no name of a computer"),
        ("tcp://" + "\u00fc" * 70 + ":27015", "no name of a computer"),
        ("\udc80x:1", "no name of a computer"),
        ("localhost\0x:1", "expected host:port"),
        ("::1", "brackets"),
        ("::1:27015", "brackets"),
        ("tcp:fe80::1:27015", "brackets"),
        ("[::1]", "expected host:port"),
        ("[::1]27015", "expected host:port"),
        ("[localhost]:27015", "no address of IP version 6"),
        ("[127.0.0.1]:27015", "no address of IP version 6"),
        ("[]:27015", "expected host:port"),
        ("http://localhost:27015", "unix or tcp"),
        ("unix+ssh://host/path", "unix or tcp"),
    ],
)
def test_address_in_no_spelling_error_that_helps(text: str, help_: str) -> None:
    with pytest.raises(AddressError, match=help_):
        parse_address(text)


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (UNIX, "unix:/run/mux"),
        (UnixAddress("//run"), "unix:////run"),
        (TcpAddress("localhost", 1), "localhost:1"),
        (TcpAddress("::1", 1), "[::1]:1"),
    ],
)
def test_address_written_reads_back(address: Address, text: str) -> None:
    assert str(address) == text
    assert parse_address(text) == address


@given(st.text("/a:[]1. \0%\n", max_size=12) | st.text(max_size=12) | st.sampled_from(["unix:", "tcp://"]))
def test_address_any_text_error_or_reads_back(text: str) -> None:
    with suppress(AddressError):
        address = parse_address(text)
        assert parse_address(str(address)) == address


@pytest.mark.parametrize(
    ("name", "address"),
    [
        (("127.0.0.1", 22), TcpAddress("127.0.0.1", 22)),
        (("::1", 22, 0, 0), TcpAddress("::1", 22)),
        (("fe80::1", 22, 0, 4), TcpAddress("fe80::1%4", 22)),
        ("/run/mux", UNIX),
        (b"\0mux", UnixAddress("@mux")),
        (b"\0m\0\xffx", UnixAddress("@m@\\xffx")),
    ],
)
def test_name_of_socket_is_written_as_others_write_it(name: object, address: Address) -> None:
    assert bound_address(name) == address


def test_socket_without_name_has_no_address() -> None:
    with pytest.raises(AddressError):
        bound_address("")


@pytest.mark.parametrize(
    ("platform", "address"),
    [
        ("linux", UnixAddress("/var/run/usbmuxd")),
        ("darwin", UnixAddress("/var/run/usbmuxd")),
        ("win32", TcpAddress("127.0.0.1", 27015)),
    ],
)
def test_environment_without_variable_default_of_platform(platform: str, address: Address) -> None:
    assert default_address(platform) == address
    assert address_from_environment({}, platform) == address
    assert address_from_environment({"USBMUXD_SOCKET_ADDRESS": ""}, platform) == address


def test_environment_with_variable_wins() -> None:
    environ = {"USBMUXD_SOCKET_ADDRESS": "[::1]:5"}
    assert address_from_environment(environ) == TcpAddress("::1", 5)


def test_environment_with_bad_variable_names_it() -> None:
    with pytest.raises(AddressError, match=r"^USBMUXD_SOCKET_ADDRESS: 'nonsense'"):
        address_from_environment({"USBMUXD_SOCKET_ADDRESS": "nonsense"})


@pytest.mark.parametrize(
    ("text", "host"),
    [("localhost", "localhost"), ("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("[::1]", "::1"),
     ("fe80::1%eth0", "fe80::1%eth0"), ("[fe80::1%eth0]", "fe80::1%eth0")],
)  # fmt: skip
def test_host_with_or_without_brackets_read(text: str, host: str) -> None:
    assert parse_host(text) == host


@pytest.mark.parametrize("text", ["", "a..b", "x" * 64, "127.0.0.1:22", "[localhost]", "[]", "::1]", "[::1", ":"])
def test_host_that_is_none_error(text: str) -> None:
    with pytest.raises(AddressError, match=r"is no (name of a computer|address of IP version 6)"):
        parse_host(text)
