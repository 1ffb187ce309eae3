import pytest

from tests.testing.usb_host import Bus, configured, parsed
from usbmux.errors import LocalProtocolError
from usbmux.testing import Speed, UsbDeviceOptions
from usbmux.testing.usb_control import Request, RequestType
from usbmux.testing.usb_endpoint import TransferStatus
from usbmux.testing.usb_phone import ENDPOINT_IN, ENDPOINT_OUT, serial_on_wire
from usbmux.usb.apple import choose_mux_interface, guess_mode, is_phone_without_mux, parse_serial_number

HIGH_DEVICE = "12 01 0002 00 00 00 40 ac05 a812 0214 01 02 03 04"
SUPER_DEVICE = "12 01 2003 00 00 00 09 ac05 a812 0214 01 02 03 04"
HIGH_CONFIGURATION_4 = (
    "09 02 5e00 03 04 00 c0 fa"
    "09 04 00 00 03 06 01 01 00  07 05 02 02 0002 00  07 05 81 02 0002 00  07 05 83 03 4000 0a"
    "09 04 01 00 02 ff fe 02 00  07 05 04 02 0002 00  07 05 85 02 0002 00"
    "09 04 02 00 00 ff fd 01 00"
    "09 04 02 01 02 ff fd 01 00  07 05 06 02 0002 00  07 05 87 02 0002 00"
)
SUPER_CONFIGURATION_1 = (
    "09 02 3900 01 01 00 c0 70"
    "09 04 00 00 03 06 01 01 00"
    "07 05 02 02 0004 00 06 30 00 00 0000  07 05 81 02 0004 00 06 30 00 00 0000  07 05 83 03 4000 0a 06 30 00 00 4000"
)
BOS = "05 0f 1600 02  07 10 02 02000000  0a 10 03 00 0c00 02 0a 2000"
QUALIFIER = "0a 06 0002 00 00 00 40 04 00"


@pytest.mark.parametrize(
    ("speed", "value", "expected"),
    [
        (Speed.HIGH, 0x0100, HIGH_DEVICE),
        (Speed.HIGH, 0x0203, HIGH_CONFIGURATION_4),
        (Speed.HIGH, 0x0204, None),
        (Speed.HIGH, 0x0300, "04 03 0904"),
        (Speed.HIGH, 0x0302, "0e 03" + b"iPhone".hex("\0").replace("\0", "00") + "00"),
        (Speed.HIGH, 0x0309, None),
        (Speed.HIGH, 0x0600, QUALIFIER),
        (
            Speed.HIGH,
            0x0700,
            "09 07 2700 01 01 00 c0 fa 090400000306010100 07050202400000 07058102400000 0705830340000a",
        ),
        (Speed.HIGH, 0x0F00, None),
        (Speed.SUPER, 0x0100, SUPER_DEVICE),
        (Speed.SUPER, 0x0200, SUPER_CONFIGURATION_1),
        (Speed.SUPER, 0x0600, None),
        (Speed.SUPER, 0x0700, None),
        (Speed.SUPER, 0x0F00, BOS),
        (Speed.SUPER, 0x2200, None),
    ],
)
def test_attached_get_descriptor_gives_these_bytes(speed: Speed, value: int, expected: str | None) -> None:
    wanted = None if expected is None else bytes.fromhex(expected)
    assert Bus(speed=speed).descriptor(value) == wanted


def test_attached_get_descriptor_with_less_room_is_cut() -> None:
    assert Bus().descriptor(0x0203, length=9) == bytes.fromhex("09 02 5e00 03 04 00 c0 fa")


def test_attached_serial_number_has_no_dash_and_the_host_puts_it_back() -> None:
    bus = Bus()
    descriptor = bus.descriptor(0x0303)
    assert descriptor is not None
    assert descriptor[2:].decode("utf-16-le") == "00008030001A2B3C4D5E6F01"
    assert parse_serial_number(descriptor) == bus.function.info.serial_number


@pytest.mark.parametrize(
    ("udid", "expected"),
    [("a" * 40, "a" * 40), ("00008030-001A2B3C4D5E6F01", "00008030001A2B3C4D5E6F01"), ("my-phone", "my-phone")],
)
def test_serial_on_wire(udid: str, expected: str) -> None:
    assert serial_on_wire(udid) == expected


@pytest.mark.parametrize("speed", list(Speed))
def test_first_mode_host_finds_the_mux_in_the_highest_configuration(speed: Speed) -> None:
    device = parsed(Bus(speed=speed))
    mux = choose_mux_interface(device)
    assert mux is not None
    assert (mux.configuration, mux.number) == (4, 1)
    assert (mux.endpoint_in, mux.endpoint_out, mux.max_packet_size) == (
        ENDPOINT_IN,
        ENDPOINT_OUT,
        speed.max_packet_size,
    )
    assert choose_mux_interface(device, 3) is not None
    assert [len(configuration.interfaces) for configuration in device.configurations] == [1, 1, 2, 4]


@pytest.mark.parametrize("mode", range(1, 6))
def test_first_mode_switched_comes_back_in_a_mode_that_the_host_recognises(mode: int) -> None:
    bus = configured()
    assert bus.control(RequestType.VENDOR_FROM_DEVICE, 0x52, index=mode, length=1) == b"\0"
    was_leaving, old_mode = bus.device.is_leaving, bus.device.mode

    bus.device.detach()
    bus.attach()

    assert (was_leaving, bus.device.is_leaving) == (True, False)
    assert (old_mode, bus.device.mode) == (1, mode)
    assert bus.device.configuration == 0
    assert guess_mode(parsed(bus)) == mode
    assert is_phone_without_mux(parsed(bus)) == (mode == 5)
    query = bus.control(RequestType.VENDOR_FROM_DEVICE, 0x45, length=4)
    assert query == (b"\x03\x03\x03\x00" if mode == 1 else b"\x05\x03\x03\x00")
    assert bus.device.mode_requests == [(0x52, mode), (0x45, 0)]


def test_first_mode_switch_to_unknown_mode_is_refused() -> None:
    bus = Bus()
    assert bus.control(RequestType.VENDOR_FROM_DEVICE, 0x52, index=6, length=1) == b"\x01"
    assert not bus.device.is_leaving


@pytest.mark.parametrize(
    ("options", "answer"),
    [(UsbDeviceOptions(stalls_mode_requests=True), None), (UsbDeviceOptions(mode_query_answer=b"\x03"), b"\x03")],
)
def test_with_fault_mode_query_is_answered_so(options: UsbDeviceOptions, answer: bytes | None) -> None:
    assert Bus(options=options).control(RequestType.VENDOR_FROM_DEVICE, 0x45, length=4) == answer


def test_attached_vendor_requests_for_the_network_driver() -> None:
    bus = Bus()
    address = bus.control(RequestType.VENDOR_FROM_DEVICE, 0x00, index=2, length=6)
    assert address is not None
    assert len(address) == 6
    assert address[0] & 3 == 2
    assert bus.control(RequestType.VENDOR_FROM_DEVICE, 0x77) is None


def test_configured_standard_requests() -> None:
    bus = Bus()
    assert bus.control(0x80, Request.GET_CONFIGURATION) == b"\0"
    assert bus.control(0x81, Request.GET_INTERFACE, index=0) is None
    assert bus.control(0x00, Request.SET_CONFIGURATION, 9) is None
    assert bus.control(0x00, Request.SET_CONFIGURATION, 4) == b""
    assert bus.control(0x80, Request.GET_CONFIGURATION) == b"\x04"
    assert bus.control(0x81, Request.GET_INTERFACE, index=2) == b"\0"
    assert bus.control(0x01, Request.SET_INTERFACE, 2, index=2) is None
    assert bus.control(0x01, Request.SET_INTERFACE, 0, index=3) is None
    assert bus.control(0x01, Request.SET_INTERFACE, 1, index=2) == b""
    assert bus.control(0x81, Request.GET_INTERFACE, index=2) == b"\x01"
    assert bus.control(0x80, Request.GET_STATUS) == b"\x01\x00"
    assert bus.control(0x81, Request.GET_STATUS, index=2) == b"\0\0"
    assert bus.control(0x81, Request.GET_STATUS, index=3) is None
    assert bus.control(0x82, Request.GET_STATUS, index=0x87) == b"\0\0"
    assert bus.control(0x82, Request.GET_STATUS, index=0) == b"\0\0"
    assert bus.control(0x82, Request.GET_STATUS, index=0x8E) is None
    assert bus.control(0x21, 0x0A) is None


def test_configured_endpoint_halted_by_the_host_stalls_until_cleared() -> None:
    for address in (ENDPOINT_IN, ENDPOINT_OUT):
        bus = configured()
        assert bus.control(RequestType.TO_ENDPOINT, Request.SET_FEATURE, 0, index=address) == b""
        assert bus.control(RequestType.FROM_ENDPOINT, Request.GET_STATUS, index=address) == b"\x01\x00"
        assert bus.control(RequestType.TO_ENDPOINT, Request.CLEAR_FEATURE, 0, index=address) == b""
        assert bus.control(RequestType.FROM_ENDPOINT, Request.GET_STATUS, index=address) == b"\0\0"
        assert bus.control(RequestType.TO_ENDPOINT, Request.CLEAR_FEATURE, 0, index=0x0F) is None
        assert bus.control(RequestType.TO_ENDPOINT, Request.CLEAR_FEATURE, 1, index=address) is None


def test_superspeed_host_may_set_up_its_power_saving() -> None:
    bus = Bus(speed=Speed.SUPER)
    assert bus.control(RequestType.TO_DEVICE, Request.SET_SEL) == b""
    assert bus.control(RequestType.TO_DEVICE, Request.SET_FEATURE, 48) == b""
    assert bus.control(RequestType.TO_DEVICE, Request.SET_FEATURE, 2) is None


def test_configured_function_runs_from_configuration_to_reset() -> None:
    bus = Bus()
    assert bus.function.log == []
    bus.control(RequestType.TO_DEVICE, Request.SET_CONFIGURATION, 1)
    assert bus.function.log == []
    bus.control(RequestType.TO_DEVICE, Request.SET_CONFIGURATION, 3)
    assert bus.function.log == ["connected"]
    bus.control(RequestType.TO_DEVICE, Request.SET_CONFIGURATION, 3)
    assert bus.function.log == ["connected", "disconnected", "connected"]
    bus.control(RequestType.TO_INTERFACE, Request.SET_INTERFACE, 0, index=0)
    assert len(bus.function.log) == 3
    bus.control(RequestType.TO_INTERFACE, Request.SET_INTERFACE, 0, index=1)
    assert bus.function.log[3:] == ["disconnected", "connected"]
    bus.device.reset()
    assert bus.function.log[5:] == ["disconnected"]
    bus.device.detach()
    assert bus.function.log[6:] == []


def test_attached_attach_again_is_refused() -> None:
    with pytest.raises(LocalProtocolError):
        Bus().attach()


@pytest.mark.parametrize(
    ("length", "request_length", "expected"),
    [
        (10, 512, [10]),
        (512, 512, [512, 0]),
        (512, 1024, [512]),
        (1000, 512, [512, 488]),
        (16384, 16384, [16384, 0]),
        (16385, 16384, [16384, 1]),
        (40000, 16384, [16384, 16384, 7232]),
    ],
)
def test_configured_transfer_is_cut_by_requests_and_ended(
    length: int, request_length: int, expected: list[int]
) -> None:
    bus = configured()
    data = bytes(number % 251 for number in range(length))
    bus.device.submit_out(ENDPOINT_OUT, data)
    bus.device.send(b"next")

    for tag in range(len(expected) + 1):
        bus.device.submit_in(tag, ENDPOINT_IN, request_length)

    ended = bus.taken()
    assert [len(piece) for _, _, piece in ended] == [*expected, 4]
    assert b"".join(piece for _, _, piece in ended) == data + b"next"
    assert [tag for tag, _, _ in ended] == list(range(len(expected) + 1))
    assert {status for _, status, _ in ended} == {TransferStatus.DONE}


def test_configured_request_waits_for_data() -> None:
    bus = configured()
    bus.device.submit_in(1, ENDPOINT_IN, 512)
    assert bus.taken() == []
    assert [request.tag for request in bus.device.waiting(ENDPOINT_IN)] == [1]

    bus.device.submit_out(ENDPOINT_OUT, b"x")

    assert bus.taken() == [(1, TransferStatus.DONE, b"x")]


def test_configured_cancelled_request_takes_nothing() -> None:
    bus = configured()
    bus.device.submit_in(1, ENDPOINT_IN, 512)
    bus.device.submit_in(2, ENDPOINT_IN, 512)

    assert bus.device.cancel(1)
    assert not bus.device.cancel(1)
    bus.device.send(b"x")

    assert bus.taken() == [(2, TransferStatus.DONE, b"x")]


def test_configured_halted_endpoints_stall_as_often_as_told() -> None:
    bus = configured()
    bus.device.submit_in(1, ENDPOINT_IN, 512)
    bus.device.submit_in(2, ENDPOINT_IN, 512)
    bus.device.halt(ENDPOINT_IN, times=2)
    bus.device.halt(ENDPOINT_OUT)
    bus.device.send(b"kept")

    assert bus.taken() == [(1, TransferStatus.STALLED, b""), (2, TransferStatus.STALLED, b"")]
    assert bus.device.submit_out(ENDPOINT_OUT, b"x") is TransferStatus.STALLED
    bus.device.clear_halt(ENDPOINT_OUT)
    assert bus.device.submit_out(ENDPOINT_OUT, b"") is TransferStatus.DONE
    bus.device.clear_halt(ENDPOINT_IN)
    bus.device.submit_in(3, ENDPOINT_IN, 512)
    assert bus.taken() == [(3, TransferStatus.STALLED, b"")]
    bus.device.clear_halt(ENDPOINT_IN)
    bus.device.submit_in(4, ENDPOINT_IN, 512)
    assert bus.taken() == [(4, TransferStatus.DONE, b"kept")]
    assert bus.function.transfers == [b""]


def test_configured_reset_ends_requests_as_cancelled_and_forgets_data() -> None:
    bus = configured()
    bus.device.submit_in(1, ENDPOINT_IN, 512)
    bus.device.reset()
    assert bus.taken() == [(1, TransferStatus.CANCELLED, b"")]
    assert not bus.device.submit_in(2, ENDPOINT_IN, 512)
    assert bus.device.submit_out(ENDPOINT_OUT, b"x") is TransferStatus.INVALID

    bus = configured()
    bus.device.send(b"old")
    bus.device.set_configuration(4)
    bus.device.submit_in(3, ENDPOINT_IN, 512)
    assert bus.taken() == []


def test_configured_detached_forgets_requests_without_a_word() -> None:
    bus = configured()
    bus.device.submit_in(1, ENDPOINT_IN, 512)
    bus.device.detach()
    bus.device.send(b"lost")
    assert bus.taken() == []
    assert not bus.device.set_configuration(4)


def test_configured_other_endpoints_take_all_and_give_nothing() -> None:
    bus = configured()
    assert bus.device.submit_out(0x02, b"a picture, please") is TransferStatus.DONE
    assert bus.device.submit_in(1, 0x81, 512)
    assert not bus.device.submit_in(2, 0x87, 512)
    bus.device.set_interface(2, 1)
    assert bus.device.submit_in(3, 0x87, 512)
    bus.device.set_interface(2, 0)
    assert bus.taken() == [(3, TransferStatus.CANCELLED, b"")]
    assert bus.function.transfers == []
