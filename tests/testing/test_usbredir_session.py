import pytest

from tests.testing.usbredir_guest import ALL, GET_DESCRIPTOR, Cable, configured, plugged
from usbmux.errors import RemoteProtocolError
from usbmux.testing import Speed, UsbDeviceOptions
from usbmux.testing.usb_phone import ENDPOINT_IN, ENDPOINT_OUT
from usbmux.testing.usbredir_packet import MAX_BULK_LENGTH, Capability, PacketType, RedirPacket
from usbmux.testing.usbredir_payload import Status
from usbmux.testing.usbredir_session import MAX_PENDING, SessionState


@pytest.mark.parametrize(("speed", "number"), [(Speed.HIGH, 2), (Speed.SUPER, 3)])
def test_waiting_hello_the_device_is_told_after_it(speed: Speed, number: int) -> None:
    cable = Cable(speed=speed)
    assert cable.quiet()
    cable.send(cable.guest.hello())
    assert cable.guest.take_arrival() == (number, 0x05AC, 0x12A8)
    assert cable.session.state is SessionState.PLUGGED


@pytest.mark.parametrize(
    ("capabilities", "lengths"),
    [(Capability(0), [96, 132, 8]), (ALL, [160, 132, 10]), (Capability(0xFF), [160, 132, 10])],
)
def test_waiting_hello_packets_have_what_both_sides_can(capabilities: Capability, lengths: list[int]) -> None:
    cable = Cable(capabilities=capabilities)
    cable.send(cable.guest.hello())
    assert [len(packet.payload) for packet in cable.guest.packets] == lengths


def test_waiting_hello_something_else_is_an_error() -> None:
    with pytest.raises(RemoteProtocolError):
        Cable().send_packet(PacketType.RESET)


def test_plugged_descriptor_is_read() -> None:
    cable = plugged()
    cable.send(cable.guest.control(7, *GET_DESCRIPTOR, 0x0100, length=255))
    packet_id, answer = cable.guest.take_control()
    assert (packet_id, answer.status, answer.length, answer.request, answer.value) == (7, Status.SUCCESS, 18, 6, 0x100)
    assert answer.data == cable.device.kind.descriptor(0x0100)


def test_plugged_unknown_control_request_stalls() -> None:
    cable = plugged()
    cable.send(cable.guest.control(7, 0xC0, 0x99, length=4))
    assert cable.guest.take_control()[1].status == Status.STALL


def test_plugged_set_configuration_tells_endpoints_and_interfaces_first() -> None:
    cable = plugged()
    cable.send_packet(PacketType.SET_CONFIGURATION, 5, b"\x04")
    endpoints, interfaces, status = cable.guest.take(
        PacketType.EP_INFO, PacketType.INTERFACE_INFO, PacketType.CONFIGURATION_STATUS
    )
    assert [kind for kind in endpoints.payload[:32] if kind != 255] == [0, 2, 2, 0, 2, 3, 2]
    assert endpoints.payload[16 + 5] == 2
    assert endpoints.payload[64 + 16 + 5] == 1
    assert endpoints.payload[96 + 2 * (16 + 5) :][:2] == (512).to_bytes(2, "little")
    assert interfaces.payload[:4] == b"\x03\0\0\0"
    assert (status.id, status.payload) == (5, b"\x00\x04")
    cable.send_packet(PacketType.SET_CONFIGURATION, 6, b"\x09")
    assert cable.guest.take(PacketType.CONFIGURATION_STATUS)[0].payload == bytes((Status.STALL, 4))
    cable.send_packet(PacketType.GET_CONFIGURATION, 7)
    assert cable.guest.take(PacketType.CONFIGURATION_STATUS)[0].payload == b"\x00\x04"


def test_plugged_set_configuration_as_control_packet_tells_them_too() -> None:
    cable = plugged()
    cable.send(cable.guest.control(5, 0x00, 9, 3))
    cable.guest.take(PacketType.EP_INFO, PacketType.INTERFACE_INFO)
    assert cable.guest.take_control()[1].status == Status.SUCCESS


def test_configured_alternate_setting_is_set_and_got() -> None:
    cable = configured()
    cable.send_packet(PacketType.SET_ALT_SETTING, 5, b"\x02\x01")
    endpoints, _, status = cable.guest.take(
        PacketType.EP_INFO, PacketType.INTERFACE_INFO, PacketType.ALT_SETTING_STATUS
    )
    assert endpoints.payload[16 + 7] == 2
    assert status.payload == b"\x00\x02\x01"
    cable.send_packet(PacketType.SET_ALT_SETTING, 6, b"\x02\x02")
    assert cable.guest.take(PacketType.ALT_SETTING_STATUS)[0].payload == bytes((Status.STALL, 2, 1))
    cable.send_packet(PacketType.GET_ALT_SETTING, 7, b"\x02")
    assert cable.guest.take(PacketType.ALT_SETTING_STATUS)[0].payload == b"\x00\x02\x01"
    cable.send_packet(PacketType.GET_ALT_SETTING, 8, b"\x09")
    assert cable.guest.take(PacketType.ALT_SETTING_STATUS)[0].payload == bytes((Status.STALL, 9, 0))


def test_configured_reset_ends_requests_and_configuration() -> None:
    cable = configured()
    cable.send(cable.guest.bulk(8, ENDPOINT_IN, 512))
    cable.send_packet(PacketType.RESET)
    packet_id, answer = cable.guest.take_bulk()
    assert (packet_id, answer.status) == (8, Status.CANCELLED)
    cable.send_packet(PacketType.GET_CONFIGURATION, 7)
    assert cable.guest.take(PacketType.CONFIGURATION_STATUS)[0].payload == b"\x00\x00"
    assert cable.function.log == ["connected", "disconnected"]


@pytest.mark.parametrize("capabilities", [Capability(0), ALL])
@pytest.mark.parametrize(("length", "pieces"), [(100, [100]), (512, [512, 0]), (1200, [512, 512, 176])])
def test_configured_echo_is_read_in_pieces_of_512(capabilities: Capability, length: int, pieces: list[int]) -> None:
    cable = configured(capabilities)
    data = bytes(number % 251 for number in range(length))
    cable.send(cable.guest.bulk(8, ENDPOINT_IN, 512))
    assert cable.quiet()

    cable.send(cable.guest.bulk(9, ENDPOINT_OUT, data))

    first_id, first = cable.guest.take_bulk()
    out_id, out = cable.guest.take_bulk()
    assert (first_id, out_id) == (8, 9)
    assert (out.status, out.length, out.data) == (Status.SUCCESS, length, b"")
    answers = [first]
    for packet_id in range(10, 9 + len(pieces)):
        cable.send(cable.guest.bulk(packet_id, ENDPOINT_IN, 512))
        answers.append(cable.guest.take_bulk()[1])
    assert [answer.length for answer in answers] == pieces
    assert b"".join(answer.data for answer in answers) == data
    cable.send(cable.guest.bulk(99, ENDPOINT_IN, 512))
    assert cable.quiet()


def test_configured_large_requests_cross_whole() -> None:
    cable = configured()
    data = bytes(100_000)
    cable.send(cable.guest.bulk(9, ENDPOINT_OUT, data), cable.guest.bulk(10, ENDPOINT_IN, 200_000))
    assert cable.guest.take_bulk()[1].length == 100_000
    assert cable.guest.take_bulk()[1].data == data
    assert cable.function.transfers == [data]


def test_configured_cancelled_read_is_answered_so_and_takes_nothing() -> None:
    cable = configured()
    cable.send(cable.guest.bulk(8, ENDPOINT_IN, 512), cable.guest.bulk(9, ENDPOINT_IN, 512))
    cable.send_packet(PacketType.CANCEL_DATA_PACKET, 8)
    packet_id, answer = cable.guest.take_bulk()
    assert (packet_id, answer.status, answer.length) == (8, Status.CANCELLED, 0)
    cable.send_packet(PacketType.CANCEL_DATA_PACKET, 8)
    assert cable.quiet()
    cable.device.send(b"x")
    assert cable.guest.take_bulk()[0] == 9


def test_configured_halted_endpoint_stalls_until_cleared() -> None:
    cable = configured()
    cable.device.halt(ENDPOINT_IN)
    cable.device.halt(ENDPOINT_OUT)
    for endpoint, request in ((ENDPOINT_IN, 512), (ENDPOINT_OUT, b"x")):
        cable.send(cable.guest.bulk(8, endpoint, request))
        assert cable.guest.take_bulk()[1].status == Status.STALL
        cable.send(cable.guest.control(9, 0x02, 1, 0, endpoint))
        assert cable.guest.take_control()[1].status == Status.SUCCESS
    cable.send(cable.guest.bulk(10, ENDPOINT_OUT, b"x"))
    assert cable.guest.take_bulk()[1].status == Status.SUCCESS


@pytest.mark.parametrize("endpoint", [0x01, 0x8F, ENDPOINT_OUT])
def test_plugged_bulk_without_endpoint_is_invalid(endpoint: int) -> None:
    cable = plugged()
    cable.send(cable.guest.bulk(8, endpoint, 512 if endpoint & 0x80 else b"x"))
    packet_id, answer = cable.guest.take_bulk()
    assert (packet_id, answer.status, answer.length) == (8, Status.INVALID, 0)


@pytest.mark.parametrize(
    ("kind", "payload", "answer", "expected"),
    [
        (PacketType.START_ISO_STREAM, "81 02 03", PacketType.ISO_STREAM_STATUS, "02 81"),
        (PacketType.STOP_ISO_STREAM, "81", PacketType.ISO_STREAM_STATUS, "02 81"),
        (PacketType.START_INTERRUPT_RECEIVING, "83", PacketType.INTERRUPT_RECEIVING_STATUS, "00 83"),
        (PacketType.STOP_INTERRUPT_RECEIVING, "83", PacketType.INTERRUPT_RECEIVING_STATUS, "00 83"),
        (PacketType.START_INTERRUPT_RECEIVING, "85", PacketType.INTERRUPT_RECEIVING_STATUS, "02 85"),
        (PacketType.INTERRUPT_PACKET, "02 00 0100 aa", PacketType.INTERRUPT_PACKET, "02 02 0000"),
        (PacketType.ALLOC_BULK_STREAMS, "10000000 04000000", PacketType.BULK_STREAMS_STATUS, "10000000 04000000 02"),
        (PacketType.FREE_BULK_STREAMS, "10000000", PacketType.BULK_STREAMS_STATUS, "10000000 00000000 02"),
        (
            PacketType.START_BULK_RECEIVING,
            "00000000 00400000 85 02",
            PacketType.BULK_RECEIVING_STATUS,
            "00000000 85 02",
        ),
        (PacketType.STOP_BULK_RECEIVING, "00000000 85", PacketType.BULK_RECEIVING_STATUS, "00000000 85 02"),
    ],
)
def test_configured_what_no_phone_has_is_refused(
    kind: PacketType, payload: str, answer: PacketType, expected: str
) -> None:
    cable = configured()
    cable.send_packet(kind, 8, bytes.fromhex(payload))
    assert cable.guest.take(answer) == [RedirPacket(answer, 8, bytes.fromhex(expected))]


def test_configured_filter_and_isochronous_data_are_not_answered() -> None:
    cable = configured()
    cable.send_packet(PacketType.FILTER_FILTER, 0, b"-1,-1,-1,-1,1\0")
    cable.send_packet(PacketType.ISO_PACKET, 0, b"\x01\0\0\0")
    assert cable.quiet()


def test_plugged_slow_device_answers_later() -> None:
    cable = plugged(options=UsbDeviceOptions(control_delay_s=2.5))
    cable.send(cable.guest.control(8, *GET_DESCRIPTOR, 0x0100, length=18))
    cable.send_packet(PacketType.SET_CONFIGURATION, 9, b"\x04")
    assert cable.quiet()
    assert [delay for delay, _ in cable.timers] == [2.5, 2.5]
    for _, call in cable.timers:
        call()
    assert cable.guest.take_control()[0] == 8
    cable.guest.take(PacketType.EP_INFO, PacketType.INTERFACE_INFO, PacketType.CONFIGURATION_STATUS)


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (PacketType.RESET, "00"),
        (PacketType.SET_CONFIGURATION, ""),
        (PacketType.SET_CONFIGURATION, "0101"),
        (PacketType.GET_CONFIGURATION, "01"),
        (PacketType.SET_ALT_SETTING, "01"),
        (PacketType.CONTROL_PACKET, "80068000 0001 0000"),
        (PacketType.CONTROL_PACKET, "80068000 0001 0000 0100 aa"),
        (PacketType.CONTROL_PACKET, "00090000 0400 0000 0100"),
        (PacketType.BULK_PACKET, "04 00 0200 00000000 0000 aa"),
        (PacketType.BULK_PACKET, "85 00 0200 00000000 0000 aabb"),
        (PacketType.BULK_PACKET, "85 00 0100 00000000 1000"),
        (PacketType.START_BULK_RECEIVING, "00"),
        (PacketType.DEVICE_CONNECT, ""),
        (PacketType.EP_INFO, ""),
        (PacketType.CONFIGURATION_STATUS, "0000"),
        (PacketType.BUFFERED_BULK_PACKET, ""),
    ],
)
def test_configured_malformed_packet_is_an_error(kind: PacketType, payload: str) -> None:
    cable = configured()
    with pytest.raises(RemoteProtocolError):
        cable.send_packet(kind, 8, bytes.fromhex(payload))


def test_configured_longest_request_is_taken() -> None:
    cable = configured()
    cable.send(cable.guest.bulk(8, ENDPOINT_OUT, bytes(MAX_BULK_LENGTH)))
    assert cable.guest.take_bulk()[1].length == MAX_BULK_LENGTH


def test_configured_same_id_twice_is_an_error() -> None:
    cable = configured()
    cable.send(cable.guest.bulk(8, ENDPOINT_IN, 512))
    with pytest.raises(RemoteProtocolError, match="in use"):
        cable.send(cable.guest.bulk(8, ENDPOINT_IN, 512))


def test_configured_too_many_requests_are_an_error() -> None:
    cable = configured()
    for packet_id in range(MAX_PENDING):
        cable.send(cable.guest.bulk(packet_id, ENDPOINT_IN, 512))
    with pytest.raises(RemoteProtocolError, match="more than"):
        cable.send(cable.guest.bulk(MAX_PENDING, ENDPOINT_IN, 512))


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (PacketType.CONTROL_PACKET, "00 06 80"),
        (PacketType.CONTROL_PACKET, "00 09 00 00 04 00 00 00 05 00"),
        (PacketType.SET_CONFIGURATION, ""),
        (PacketType.GET_CONFIGURATION, "00"),
        (PacketType.SET_ALT_SETTING, "00"),
        (PacketType.GET_ALT_SETTING, ""),
    ],
)
def test_plugged_malformed_request_to_a_slow_device_is_an_error_at_once(kind: PacketType, payload: str) -> None:
    cable = plugged(options=UsbDeviceOptions(control_delay_s=2.5))
    with pytest.raises(RemoteProtocolError):
        cable.send_packet(kind, 7, bytes.fromhex(payload))
