"""The listener's reading of a link, in the words of a trace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbmux.capture.transcript import (
    BytesSkipped,
    Direction,
    Entry,
    FramingLost,
    PacketSeen,
    Transcript,
    describe,
    shown_bytes,
    shown_text,
)
from usbmux.mux.packet import ControlKind, MuxProtocol, Packet, PacketReader, Version, encode_v1, encode_v2
from usbmux.mux.segment import Flags, Segment

framings = pytest.mark.parametrize("framing", [1, 2])
OFFER = encode_v1(MuxProtocol.VERSION, Version(2, 0).encode())
SETUP = encode_v2(MuxProtocol.SETUP, b"\x07", 0, 0xFFFF)
SEGMENT = Segment(7, 1, 5, 1, Flags.ACK, 131072, b"hello").encode()


def words(entries: list[Entry]) -> list[str]:
    """Entries without their buffers, which tests would have to keep alive."""
    found = []
    for entry in entries:
        match entry:
            case PacketSeen(packet, framing):
                found.append(f"{framing}: {describe(packet)}")
            case BytesSkipped(count):
                found.append(f"skipped {count}")
            case FramingLost(reason):
                found.append(f"lost: {reason}")
    return found


def running(version: int) -> Transcript:
    """After the answer to VERSION."""
    transcript = Transcript()
    assert words(list(transcript.send(OFFER))) == ["1: VERSION 2.0"]
    answer = encode_v1(MuxProtocol.VERSION, Version(version, 0).encode())
    assert words(list(transcript.receive(answer))) == [f"1: VERSION {version}.0"]
    return transcript


def test_version_2_answered_both_sides_have_headers_of_16_bytes() -> None:
    transcript = running(2)
    assert words(list(transcript.send(SETUP))) == ["2: SETUP 07"]
    (seen,) = transcript.receive(encode_v2(MuxProtocol.TCP, SEGMENT, 3, 4))
    assert isinstance(seen, PacketSeen)
    assert (seen.packet.tx_seq, seen.packet.rx_seq, seen.length) == (3, 4, 16 + len(SEGMENT))
    assert Segment.decode(bytes(seen.packet.payload)).payload == b"hello"


def test_version_1_answered_both_sides_have_headers_of_8_bytes() -> None:
    transcript = running(1)
    for entries in (
        transcript.send(encode_v1(MuxProtocol.TCP, SEGMENT)),
        transcript.receive(encode_v1(MuxProtocol.TCP, SEGMENT)),
    ):
        (seen,) = entries
        assert isinstance(seen, PacketSeen)
        assert bytes(seen.packet.payload) == SEGMENT


def test_waiting_rubbish_before_the_answer_is_counted() -> None:
    transcript = Transcript()
    assert not list(transcript.send(OFFER))[1:]
    assert not list(transcript.receive(b"\xff" * 40))
    assert transcript.untold == 40
    assert words(list(transcript.receive(b"\xff" * 3 + OFFER + SETUP))) == [
        "skipped 43",
        "1: VERSION 2.0",
        "2: SETUP 07",
    ]
    assert transcript.untold == 0


def test_waiting_version_repeated_amid_the_answer_is_found_whole() -> None:
    transcript = Transcript()
    list(transcript.send(OFFER))
    assert not list(transcript.receive(OFFER[:9]))
    list(transcript.send(OFFER))
    assert words(list(transcript.receive(OFFER[9:] + OFFER))) == ["1: VERSION 2.0", "1: VERSION 2.0"]


def test_running_impossible_length_is_told_and_the_rest_passed_over_until_a_new_answer() -> None:
    transcript = running(2)
    bad = encode_v2(MuxProtocol.TCP, b"", 0, 0)[:4] + b"\xff" * 12
    assert words(list(transcript.receive(SETUP + bad))) == [
        "2: SETUP 07",
        f"lost: mux packet with impossible length 4294967295 ({bad.hex(' ')})",
    ]
    assert not list(transcript.receive(b"more"))
    assert transcript.untold == len(bad) + 4
    list(transcript.send(OFFER))
    assert words(list(transcript.receive(OFFER))) == ["skipped 20", "1: VERSION 2.0"]


def test_running_version_offered_again_the_unfinished_packet_is_passed_over() -> None:
    transcript = running(2)
    assert not list(transcript.receive(encode_v2(MuxProtocol.TCP, SEGMENT, 3, 4)[:30]))
    list(transcript.send(OFFER))
    assert words(list(transcript.receive(OFFER))) == ["skipped 30", "1: VERSION 2.0"]


def test_running_sent_transfer_that_is_no_packet_is_told() -> None:
    transcript = running(2)
    assert words(list(transcript.send(SETUP[:5]))) == ["lost: a transfer with 5 bytes of an unfinished packet"]
    assert words(list(transcript.send(bytes(8)))) == [
        "lost: mux packet with impossible length 0 (00 00 00 00 00 00 00 00)"
    ]


@given(st.lists(st.tuples(st.sampled_from(Direction), st.binary(max_size=80)), max_size=8), st.booleans())
def test_anything_crosses_nothing_is_raised(transfers: list[tuple[Direction, bytes]], is_joined: bool) -> None:
    transcript = Transcript(is_under_way=True) if is_joined else running(2)
    for direction, data in transfers:
        for entry in transcript.send(data) if direction is Direction.OUT else transcript.receive(data):
            words([entry])


@given(st.integers(1, 60))
def test_packets_cut_anywhere_are_the_same(size: int) -> None:
    transcript = Transcript()
    stream = b"\0" * 7 + OFFER + SETUP + encode_v2(MuxProtocol.CONTROL, b"\x07hi", 1, 1)
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    told = [text for piece in pieces for text in words(list(transcript.receive(piece)))]
    assert told == ["skipped 7", "1: VERSION 2.0", "2: SETUP 07", "2: CONTROL INFO: hi"]


@pytest.mark.parametrize(
    ("packet", "text"),
    [
        (Packet(MuxProtocol.VERSION, b"\0"), "VERSION: VERSION payload is too short"),
        (Packet(MuxProtocol.CONTROL, bytes([ControlKind.ERROR]) + b"no\x1b[2J"), "CONTROL ERROR: no?[2J"),
        (Packet(MuxProtocol.CONTROL, b"\x09\xff"), "CONTROL 9: \N{REPLACEMENT CHARACTER}"),
        (Packet(MuxProtocol.CONTROL, b""), "protocol 1, 0 bytes: "),
        (Packet(17, b"\x01\x02"), "protocol 17, 2 bytes: 01 02"),
    ],
)
def test_packet_of_any_kind_has_words_without_control_characters(packet: Packet, text: str) -> None:
    assert describe(packet) == text


def test_text_and_bytes_that_are_long_are_cut() -> None:
    assert shown_text(b"x" * 5000) == "x" * 1024
    assert shown_bytes(bytes(33)) == " ".join(["00"] * 32) + " ..."


def data(framing: int, payload: bytes = b"hello", tx_seq: int = 3) -> bytes:
    segment = Segment(7, 1, 5, 1, Flags.ACK, 131072, payload).encode()
    return encode_v1(MuxProtocol.TCP, segment) if framing == 1 else encode_v2(MuxProtocol.TCP, segment, tx_seq, 4)


def described(framing: int, payload: bytes) -> str:
    packet = PacketReader(framing).receive_data(data(framing, payload))
    return f"{framing}: {describe(next(packet))}"


@framings
def test_joined_amid_a_packet_its_rest_is_passed_over_and_both_sides_are_read(framing: int) -> None:
    transcript = Transcript(is_under_way=True)
    assert not list(transcript.receive(b"\xff" * 9))
    assert words(list(transcript.send(data(framing, b"out")))) == [described(framing, b"out")]
    long = b"two" * 10
    assert words(list(transcript.receive(b"\xff" + data(framing, b"one") + data(framing, long)[:30]))) == [
        "skipped 10",
        described(framing, b"one"),
    ]
    assert words(list(transcript.receive(data(framing, long)[30:]))) == [described(framing, long)]
    assert transcript.untold == 0


@framings
def test_joined_phone_speaks_first_headers_tell_their_version(framing: int) -> None:
    transcript = Transcript(is_under_way=True)
    assert words(list(transcript.receive(data(framing)))) == [described(framing, b"hello")]
    assert transcript.framing == framing
    assert words(list(transcript.send(data(framing, b"out")))) == [described(framing, b"out")]


def test_joined_between_version_and_its_answer_the_answer_is_read() -> None:
    transcript = Transcript(is_under_way=True)
    assert words(list(transcript.receive(OFFER))) == ["1: VERSION 2.0"]
    assert words(list(transcript.send(SETUP))) == ["2: SETUP 07"]
    assert words(list(transcript.receive(data(2)))) == [described(2, b"hello")]


def test_joined_and_link_begins_anew_both_versions_are_read() -> None:
    transcript = Transcript(is_under_way=True)
    assert words(list(transcript.send(OFFER))) == ["1: VERSION 2.0"]
    assert words(list(transcript.receive(b"\xff" + OFFER + data(2)))) == [
        "skipped 1",
        "1: VERSION 2.0",
        described(2, b"hello"),
    ]


def test_joined_framing_lost_another_beginning_is_looked_for() -> None:
    transcript = Transcript(is_under_way=True)
    list(transcript.receive(data(2)))
    (lost,) = words(list(transcript.receive(b"\xff" * 16)))
    assert lost.startswith("lost: mux packet with impossible length")
    assert words(list(transcript.receive(data(2, b"again")))) == ["skipped 16", described(2, b"again")]
