import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbmux.errors import RemoteProtocolError
from usbmux.testing.usbredir_packet import Capability, Hello, PacketType, RedirPacket, RedirReader
from usbmux.testing.usbredir_payload import (
    BulkPacket,
    ControlPacket,
    DeviceConnect,
    EndpointEntry,
    InterfaceEntry,
    RedirSpeed,
    encode_ep_info,
    encode_interface_info,
)

NOTHING = Capability(0)
LONG_IDS = Capability.IDS_64BITS
LONG_BULK = Capability.BULK_LENGTH_32BITS
HELLO = RedirPacket(PacketType.HELLO, 0, Hello("test", NOTHING).encode())


def reader(capabilities: Capability = NOTHING) -> RedirReader:
    """A reader behind the hello."""
    made = RedirReader()
    assert list(made.receive_data(HELLO.encode(NOTHING))) == [HELLO]
    made.capabilities = capabilities
    return made


def test_hello_bytes() -> None:
    hello = Hello("usbmux 1", Capability.CONNECT_DEVICE_VERSION | LONG_IDS | LONG_BULK)
    packet = RedirPacket(PacketType.HELLO, 0, hello.encode())
    # Its id is short, whatever both sides can.
    expected = "00000000 44000000 00000000" + b"usbmux 1".hex() + "00" * 56 + "62000000"
    assert packet.encode(LONG_IDS) == bytes.fromhex(expected)
    assert Hello.decode(hello.encode()) == hello


def test_hello_with_more_capabilities_than_known_keeps_the_known() -> None:
    payload = b"qemu".ljust(64, b"\0") + bytes.fromhex("fe0f0080 ffffffff")
    hello = Hello.decode(payload)
    assert hello.version == "qemu"
    assert hello.capabilities == Capability(0xFE)
    assert Hello.decode(b"x" * 64).capabilities == NOTHING


@pytest.mark.parametrize("payload", [b"", b"x" * 63, b"x" * 66, b"\0" * 64 + b"\x01\0\0\0"])
def test_hello_malformed_is_refused(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        Hello.decode(payload)


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [(NOTHING, "65000000 02000000 07000000 6869"), (LONG_IDS, "65000000 02000000 0700000000000000 6869")],
)
def test_header_bytes(capabilities: Capability, expected: str) -> None:
    packet = RedirPacket(PacketType.BULK_PACKET, 7, b"hi")
    assert packet.encode(capabilities) == bytes.fromhex(expected)
    assert list(reader(capabilities).receive_data(packet.encode(capabilities))) == [packet]


def test_device_connect_bytes() -> None:
    connect = DeviceConnect(RedirSpeed.SUPER, (1, 2, 3), 0x05AC, 0x12A8, 0x1402)
    assert connect.encode(NOTHING) == bytes.fromhex("03 01 02 03 ac05 a812")
    assert connect.encode(Capability.CONNECT_DEVICE_VERSION) == bytes.fromhex("03 01 02 03 ac05 a812 0214")


def test_interface_info_bytes() -> None:
    payload = encode_interface_info([InterfaceEntry(0, (6, 1, 1)), InterfaceEntry(1, (255, 254, 2))])
    columns = ("0001", "06ff", "01fe", "0102")
    assert payload == bytes.fromhex("02000000" + "".join(column + "00" * 30 for column in columns))


def test_ep_info_bytes() -> None:
    endpoints = {0: EndpointEntry(0, 0, 0, 64), 0x04: EndpointEntry(2, 0, 1, 512), 0x85: EndpointEntry(3, 9, 1, 64)}
    kinds = "00" + "ff" * 3 + "02" + "ff" * 11 + "ff" * 5 + "03" + "ff" * 10
    intervals = "00" * 21 + "09" + "00" * 10
    interfaces = "00" * 4 + "01" + "00" * 11 + "00" * 5 + "01" + "00" * 10
    sizes = "4000" + "0000" * 3 + "0002" + "0000" * 11 + "0000" * 5 + "4000" + "0000" * 10
    short = bytes.fromhex(kinds + intervals + interfaces)
    sized = short + bytes.fromhex(sizes)
    assert encode_ep_info(endpoints, NOTHING) == short
    assert encode_ep_info(endpoints, Capability.EP_INFO_MAX_PACKET_SIZE) == sized
    both = Capability.EP_INFO_MAX_PACKET_SIZE | Capability.BULK_STREAMS
    assert encode_ep_info(endpoints, both) == sized + bytes(128)


def test_control_packet_bytes() -> None:
    packet = ControlPacket(0x80, 6, 0x80, 0, 0x0302, 0x0409, 0x00FF)
    assert packet.encode() == bytes.fromhex("80 06 80 00 0203 0904 ff00")
    assert ControlPacket.decode(packet.encode() + b"data") == ControlPacket(
        0x80, 6, 0x80, 0, 0x302, 0x409, 0xFF, b"data"
    )
    with pytest.raises(RemoteProtocolError):
        ControlPacket.decode(bytes(9))


@pytest.mark.parametrize(
    ("capabilities", "length", "expected"),
    [
        (NOTHING, 0x4000, "85 00 0040 01000000"),
        (LONG_BULK, 0x4000, "85 00 0040 01000000 0000"),
        (LONG_BULK, 0x12345, "85 00 4523 01000000 0100"),
    ],
)
def test_bulk_packet_bytes(capabilities: Capability, length: int, expected: str) -> None:
    packet = BulkPacket(0x85, 0, length, 1)
    assert packet.encode(capabilities) == bytes.fromhex(expected)
    assert BulkPacket.decode(packet.encode(capabilities) + b"data", capabilities) == BulkPacket(
        0x85, 0, length, 1, b"data"
    )
    with pytest.raises(RemoteProtocolError):
        BulkPacket.decode(packet.encode(capabilities)[:-1], capabilities)


@pytest.mark.parametrize(
    "header",
    [
        "1c000000 00000000 00000000",
        "ffffffff 00000000 00000000",
        "00000000 44000000 00000000",
        "06000000 01020000 00000000",
        "65000000 0b001000 00000000",
        "64000000 0a000100 00000000",
    ],
    ids=["type 28", "type 2^32-1", "second hello", "long request", "long bulk packet", "long control packet"],
)
def test_reader_header_out_of_bounds_is_refused_before_its_payload(header: str) -> None:
    made = reader()
    with pytest.raises(RemoteProtocolError):
        list(made.receive_data(bytes.fromhex(header)))


def test_reader_something_before_the_hello_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="hello first"):
        list(RedirReader().receive_data(RedirPacket(PacketType.RESET).encode(NOTHING)))


def test_reader_capabilities_change_between_two_packets_of_one_piece() -> None:
    packet = RedirPacket(PacketType.RESET, 1 << 40)
    made = RedirReader()
    packets = made.receive_data(HELLO.encode(NOTHING) + packet.encode(LONG_IDS))
    assert next(packets) == HELLO
    made.capabilities = LONG_IDS
    assert list(packets) == [packet]


_packets = st.builds(
    RedirPacket,
    st.sampled_from([PacketType.CONTROL_PACKET, PacketType.BULK_PACKET, PacketType.RESET]),
    st.integers(0, 2**64 - 1),
    st.binary(max_size=64),
)


@given(st.lists(_packets, max_size=8), st.lists(st.integers(1, 40), min_size=1))
def test_reader_any_split_gives_the_same_packets(packets: list[RedirPacket], sizes: list[int]) -> None:
    stream = b"".join(packet.encode(LONG_IDS) for packet in packets)
    made = reader(LONG_IDS)
    received: list[RedirPacket] = []
    start = 0
    while start < len(stream):
        size = sizes[len(received) % len(sizes)]
        received.extend(made.receive_data(stream[start : start + size]))
        start += size
    assert received == packets


@given(st.binary(max_size=200))
def test_reader_any_bytes_give_packets_or_a_protocol_error(data: bytes) -> None:
    made = reader(LONG_IDS)
    try:
        for packet in made.receive_data(data):
            BulkPacket.decode(packet.payload, LONG_BULK)
    except RemoteProtocolError:
        pass
