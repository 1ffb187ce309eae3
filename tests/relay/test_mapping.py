from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbmux.errors import AddressError
from usbmux.relay.mapping import PortMapping

_ports = st.integers(1, 65535)


@pytest.mark.parametrize(
    ("text", "device_port", "local_port"),
    [("22:2222", 22, 2222), ("22", 22, 22), ("22:0", 22, 0), ("1:65535", 1, 65535), ("65535:1", 65535, 1)],
)
def test_remote_local_text_gives_phone_first(text: str, device_port: int, local_port: int) -> None:
    assert PortMapping.parse_remote_local(text) == PortMapping(device_port=device_port, local_port=local_port)


@pytest.mark.parametrize(
    ("text", "local_port", "device_port"),
    [("2222:22", 2222, 22), ("0:22", 0, 22), ("65535:1", 65535, 1), ("1:65535", 1, 65535)],
)
def test_local_remote_text_gives_computer_first(text: str, local_port: int, device_port: int) -> None:
    assert PortMapping.parse_local_remote(text) == PortMapping(device_port=device_port, local_port=local_port)


@given(_ports, _ports)
def test_both_orders_of_one_pair_mean_the_same(device_port: int, local_port: int) -> None:
    assert PortMapping.parse_remote_local(f"{device_port}:{local_port}") == PortMapping.parse_local_remote(
        f"{local_port}:{device_port}"
    )


@pytest.mark.parametrize(
    "text", ["", ":", "22:", ":22", "a:22", "22:b", "-1:22", "22:-1", "1:2:3", " 22:1", "+22:1", "2_2:1", "٢٢:1"]
)
def test_text_of_another_form_is_refused_showing_both_orders_right_form(text: str) -> None:
    with pytest.raises(AddressError, match=r"22:2222"):
        PortMapping.parse_remote_local(text)
    with pytest.raises(AddressError, match=r"2222:22"):
        PortMapping.parse_local_remote(text)


def test_local_remote_text_without_colon_is_refused() -> None:
    with pytest.raises(AddressError, match="LOCAL:REMOTE"):
        PortMapping.parse_local_remote("2222")


@pytest.mark.parametrize(("text", "which"), [("0:22", "phone's"), ("65536:22", "phone's"), ("22:65536", "local")])
def test_remote_local_port_out_of_range_is_named(text: str, which: str) -> None:
    with pytest.raises(AddressError, match=which):
        PortMapping.parse_remote_local(text)


@given(st.text(alphabet="0123456789:", max_size=20) | st.text(max_size=12))
def test_any_text_is_parsed_into_ports_in_range_or_refused(text: str) -> None:
    for parse in (PortMapping.parse_remote_local, PortMapping.parse_local_remote):
        with suppress(AddressError):
            mapping = parse(text)
            assert 1 <= mapping.device_port <= 65535
            assert 0 <= mapping.local_port <= 65535
