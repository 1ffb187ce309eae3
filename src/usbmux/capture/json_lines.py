"""Lines for programs."""

import json
from typing import Final, assert_never

from usbmux.capture.link_event import (
    BytesLeft,
    LinesDropped,
    LinkBegan,
    LinkEnded,
    LinkEvent,
    OtherPacket,
    UnreadableSegment,
    event_text,
)
from usbmux.capture.transcript import BytesSkipped, Direction, FramingLost, PacketSeen
from usbmux.mux.segment import RST, Flags, Segment, reset_text

_SHOWN_BYTES: Final = 32
_FLAG_NAMES: Final = tuple((int(flag), flag.name) for flag in Flags)


class JsonLines:
    """A `LineForm` for programs: a JSON object with the keys that docs/capture.md explains."""

    def segment(self, udid: str, direction: Direction, segment: Segment, seen: PacketSeen, time_ns: int) -> str:
        """See `LineForm`."""
        has_counts = seen.framing == 2
        fields: dict[str, object] = {
            "source_port": segment.source_port,
            "destination_port": segment.destination_port,
            "flags": [name for bit, name in _FLAG_NAMES if segment.flags & bit],
            "seq": segment.seq,
            "ack": segment.ack,
            "window": segment.window,
            "length": len(segment.payload),
            "reason": reset_text(segment) if segment.flags & RST else None,
            "tx_seq": seen.packet.tx_seq if has_counts else None,
            "rx_seq": seen.packet.rx_seq if has_counts else None,
        }
        return _line(udid, direction, "segment", fields, time_ns)

    def event(self, udid: str, direction: Direction | None, event: LinkEvent, time_ns: int) -> str:
        """See `LineForm`."""
        return _line(udid, direction, _name(event), {"text": event_text(event), **_fields(event)}, time_ns)


def _line(udid: str, direction: Direction | None, what: str, fields: dict[str, object], time_ns: int) -> str:
    common = {
        "time": time_ns // 1000 / 1_000_000,
        "udid": udid,
        "direction": None if direction is None else direction.value,
        "what": what,
    }
    return json.dumps(common | fields)


def _name(event: LinkEvent) -> str:
    match event:
        case LinkBegan(is_under_way=is_under_way):
            return "link_joined" if is_under_way else "link_opened"
        case LinkEnded():
            return "link_ended"
        case OtherPacket():
            return "packet"
        case UnreadableSegment():
            return "unreadable_segment"
        case BytesSkipped():
            return "bytes_skipped"
        case BytesLeft():
            return "bytes_left"
        case FramingLost():
            return "framing_lost"
        case LinesDropped():
            return "lines_dropped"
        case _:
            assert_never(event)


def _fields(event: LinkEvent) -> dict[str, object]:
    match event:
        case LinkBegan(port_path, connection_speed, _):
            return {"port_path": port_path, "connection_speed": connection_speed}
        case OtherPacket(packet):
            return {"protocol": packet.protocol, **_payload_fields(packet.payload)}
        case UnreadableSegment(reason, payload):
            return {"reason": reason, **_payload_fields(payload)}
        case LinkEnded(reason) | FramingLost(reason):
            return {"reason": reason}
        case BytesSkipped(count) | BytesLeft(count) | LinesDropped(count):
            return {"count": count}
        case _:
            assert_never(event)


def _payload_fields(payload: bytes | memoryview) -> dict[str, object]:
    return {"length": len(payload), "data": bytes(payload[:_SHOWN_BYTES]).hex()}
