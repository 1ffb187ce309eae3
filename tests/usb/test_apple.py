from __future__ import annotations

import subprocess
import sys

import pytest

from usbmux.errors import UsbError
from usbmux.usb.apple import (
    MuxInterface,
    choose_mux_interface,
    connection_speed,
    device_name,
    guess_mode,
    is_phone_without_mux,
    location_id,
    parse_first_language,
    parse_serial_number,
    port_path,
)
from usbmux.usb.candidate import ModePolicy
from usbmux.usb.descriptors import Configuration, DeviceDescriptors, Endpoint, Interface

BULK_OUT = Endpoint(0x04, 2, 512)
BULK_IN = Endpoint(0x85, 2, 512)
INTERRUPT_IN = Endpoint(0x86, 3, 64)


def interface(triple: tuple[int, int, int], *endpoints: Endpoint, number: int = 1, alternate: int = 0) -> Interface:
    return Interface(number, alternate, *triple, endpoints)


MUX = interface((255, 254, 2), BULK_OUT, BULK_IN)
PICTURES = interface((6, 1, 1), number=0)
SCREEN = interface((255, 42, 255), BULK_OUT, BULK_IN, number=2)
NCM = interface((2, 13, 0), number=3)


def device(
    configurations: dict[int, list[Interface]],
    *,
    vendor_id: int = 0x05AC,
    product_id: int = 0x12A8,
    speed: int = 3,
    ports: tuple[int, ...] = (2, 3),
) -> DeviceDescriptors:
    return DeviceDescriptors(
        bus=1,
        address=7,
        ports=ports,
        speed=speed,
        vendor_id=vendor_id,
        product_id=product_id,
        serial_number_index=3,
        configurations=tuple(Configuration(value, tuple(found)) for value, found in configurations.items()),
    )


@pytest.mark.parametrize(
    ("active", "chosen"),
    [(None, 4), (0, 4), (1, 4), (3, 3), (4, 4), (9, 4)],
    ids=["not known", "unconfigured", "active has none", "active has it", "highest is active", "unheard of"],
)
def test_phone_configuration_chosen_is_active_else_highest(active: int | None, chosen: int) -> None:
    phone = device({1: [PICTURES], 3: [PICTURES, MUX], 4: [MUX], 5: [PICTURES]})

    assert choose_mux_interface(phone, active) == MuxInterface(chosen, 1, 0, 0x85, 0x04, 512)


@pytest.mark.parametrize("active", [None, 0, 1, 2])
def test_t2_configuration_chosen_is_the_first(active: int | None) -> None:
    mux = choose_mux_interface(device({1: [MUX], 2: [MUX]}, product_id=0x8600), active)

    assert mux is not None
    assert mux.configuration == 1


def test_t2_without_mux_in_its_first_configuration_is_left_alone() -> None:
    assert choose_mux_interface(device({1: [PICTURES], 2: [MUX]}, product_id=0x8600)) is None


@pytest.mark.parametrize("product_id", [0x1290, 0x12AF, 0x1905, 0x0001])
def test_any_product_with_mux_interface_counts(product_id: int) -> None:
    assert choose_mux_interface(device({1: [MUX]}, product_id=product_id)) is not None


@pytest.mark.parametrize(
    "candidate",
    [
        interface((255, 42, 255), BULK_OUT, BULK_IN),
        interface((255, 254, 1), BULK_OUT, BULK_IN),
        interface((254, 254, 2), BULK_OUT, BULK_IN),
        interface((255, 254, 2)),
        interface((255, 254, 2), BULK_IN),
        interface((255, 254, 2), BULK_OUT),
        interface((255, 254, 2), BULK_OUT, INTERRUPT_IN),
        interface((255, 254, 2), BULK_OUT, BULK_IN, Endpoint(0x87, 2, 512)),
        interface((255, 254, 2), Endpoint(0x04, 2, 0), BULK_IN),
    ],
    ids=[
        "subclass",
        "protocol",
        "class",
        "no endpoint",
        "only in",
        "only out",
        "interrupt",
        "two in",
        "no packet size",
    ],
)
def test_interface_that_fits_in_part_is_no_mux(candidate: Interface) -> None:
    assert choose_mux_interface(device({1: [candidate]})) is None


def test_interrupt_endpoint_beside_the_bulk_pair_does_not_matter() -> None:
    assert choose_mux_interface(device({1: [interface((255, 254, 2), INTERRUPT_IN, BULK_IN, BULK_OUT)]})) is not None


def test_alternate_setting_of_the_mux_is_kept() -> None:
    empty = interface((255, 254, 2))
    full = interface((255, 254, 2), BULK_OUT, BULK_IN, alternate=1)

    mux = choose_mux_interface(device({1: [empty, full]}))

    assert mux is not None
    assert mux.alternate_setting == 1


def test_other_vendor_has_no_mux() -> None:
    assert choose_mux_interface(device({1: [MUX]}, vendor_id=0x1234)) is None


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (device({1: [PICTURES]}), True),
        (device({1: [MUX]}), False),
        (device({1: [PICTURES]}, product_id=0x1905), False),
        (device({1: [PICTURES]}, product_id=0x12B0), False),
        (device({1: [PICTURES]}, vendor_id=0x1234), False),
    ],
    ids=["hidden mux", "mux", "a Mac on a cable", "a keyboard", "another vendor"],
)
def test_only_a_phone_is_said_to_hide_its_mux(found: DeviceDescriptors, expected: bool) -> None:
    assert is_phone_without_mux(found) is expected


def numbered(count: int, *interfaces: Interface) -> DeviceDescriptors:
    return device({value: list(interfaces) for value in range(1, count + 1)})


@pytest.mark.parametrize(
    ("found", "mode"),
    [
        (numbered(0), None),
        (numbered(1), 5),
        (numbered(3, MUX), 1),
        (numbered(4, MUX), 1),
        (numbered(5, MUX, SCREEN), 2),
        (numbered(5, MUX, NCM), 3),
        (numbered(5, NCM), None),
        (numbered(5, MUX), None),
        (numbered(6, MUX), 4),
        (numbered(7, MUX), None),
    ],
)
def test_mode_is_guessed_by_configurations(found: DeviceDescriptors, mode: int | None) -> None:
    assert guess_mode(found) == mode


@pytest.mark.parametrize(
    ("wanted", "found", "asked"),
    [
        (None, numbered(4, MUX), None),
        (None, numbered(6, MUX), None),
        (None, numbered(1, PICTURES), 1),
        (3, numbered(4, MUX), 3),
        (3, numbered(5, MUX, NCM), None),
        (3, numbered(5, MUX), None),
        (5, numbered(1, PICTURES), None),
    ],
    ids=["as it is", "any mode", "hidden mux", "another", "there already", "unknown", "hidden as wanted"],
)
def test_mode_is_asked_for_only_where_it_changes_something(
    wanted: int | None, found: DeviceDescriptors, asked: int | None
) -> None:
    assert ModePolicy(wanted).wanted_mode(found) == asked


def test_phone_asked_for_a_mode_counts_as_asked_until_its_port_shows_it_or_another_was_asked() -> None:
    policy = ModePolicy(3)
    policy.asked(numbered(4, MUX), "first")

    assert policy.was_asked(numbered(4, MUX), "first")
    assert not policy.was_asked(numbered(4, MUX), "second")
    assert policy.wanted_mode(numbered(5, MUX, NCM)) is None
    assert not policy.was_asked(numbered(4, MUX), "first")
    policy.asked(numbered(4, MUX), "first")
    policy.asked(numbered(4, MUX), "second")
    assert not policy.was_asked(numbered(4, MUX), "first")


@pytest.mark.parametrize(
    ("speed", "expected"),
    [
        (1, 1_500_000),
        (2, 12_000_000),
        (3, 480_000_000),
        (4, 5_000_000_000),
        (5, 10_000_000_000),
        (6, 20_000_000_000),
        (0, 480_000_000),
    ],
)
def test_connection_speed_is_in_bit_per_second(speed: int, expected: int) -> None:
    assert connection_speed(device({}, speed=speed)) == expected


def test_place_is_told_in_both_ways() -> None:
    assert location_id(device({})) == 0x0001_0007
    assert port_path(device({})) == "1-2.3"
    assert port_path(device({}, ports=())) == "1-0"
    assert device_name(device({})) == "1-2.3 (05ac:12a8)"


def string_descriptor(text: str) -> bytes:
    body = text.encode("utf-16-le")
    return bytes([2 + len(body), 3]) + body


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("00008030001A2B3C4D5E6F70", "00008030-001A2B3C4D5E6F70"),
        ("f" * 40, "f" * 40),
        ("a" * 25, "a" * 25),
        ("a", "a"),
        ("a" * 64, "a" * 64),
        ("00008030001A2B3C4D5E6F70" + "\0" * 16, "00008030-001A2B3C4D5E6F70"),
        ("f" * 40 + " ", "f" * 40),
    ],
    ids=["24 get a dash", "40 stay", "25 stay", "one", "64", "padded with zeros", "padded with a space"],
)
def test_serial_number_is_told_as_clients_know_it(text: str, expected: str) -> None:
    assert parse_serial_number(string_descriptor(text)) == expected


@pytest.mark.parametrize(
    "descriptor",
    [
        b"",
        b"\x03",
        b"\x06\x02a\0b\0",
        string_descriptor(""),
        string_descriptor("\0\0\0"),
        string_descriptor("a" * 65),
        string_descriptor("caf\u00e9"),
        string_descriptor("a\nb"),
        string_descriptor("a\0b"),
        string_descriptor("\u202eabc"),
        b"\x05\x03a\0\xd8",
    ],
    ids=[
        "nothing", "one byte", "another type", "empty", "only zeros", "too long", "not ASCII", "line feed",
        "zero inside", "text direction", "odd length",
    ],
)  # fmt: skip
def test_serial_number_out_of_range_is_refused(descriptor: bytes) -> None:
    with pytest.raises(UsbError, match="serial number"):
        parse_serial_number(descriptor)


def test_serial_number_is_parsed_without_importing_anything() -> None:
    code = (
        "import sys; from usbmux.usb.apple import parse_serial_number; before = set(sys.modules);"
        f" parse_serial_number({string_descriptor('abc')!r}); print(set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_serial_number_descriptor_longer_than_it_says_is_cut() -> None:
    assert parse_serial_number(string_descriptor("abc") + b"x\0") == "abc"


@pytest.mark.parametrize(
    ("descriptor", "language"),
    [(b"\x06\x03\x07\x04\x09\x04", 0x0407), (b"\x02\x03", 0x0409), (b"", 0x0409), (b"\x04\x02\x07\x04", 0x0409)],
)
def test_first_language_is_taken_else_english(descriptor: bytes, language: int) -> None:
    assert parse_first_language(descriptor) == language
