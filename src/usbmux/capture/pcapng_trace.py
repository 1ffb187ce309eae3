"""A trace for Wireshark: an interface a phone, the mux's streams as TCP, everything else as comments."""

from collections import Counter
from typing import Final

from usbmux.capture import pcapng
from usbmux.capture.decoded_link import DecodedLink
from usbmux.capture.link_event import LinkEvent, event_payload, event_text
from usbmux.capture.output import Output
from usbmux.capture.synthetic_ip import event_packet, host_address, phone_address, tcp_packet
from usbmux.capture.trace_hub import LinkSink
from usbmux.capture.transcript import Direction, PacketSeen, shown_text
from usbmux.mux.segment import Flags, Segment
from usbmux.usb.pipe import UsbDeviceInfo

_FLAGS: Final = {Direction.OUT: pcapng.FLAG_OUTBOUND, Direction.IN: pcapng.FLAG_INBOUND, None: 0}
_MAX_EVENT_DATA: Final = 65_535
_SYN_OR_ACK: Final = Flags.SYN | Flags.ACK


class PcapngTrace:
    """A `TraceSink` that writes a pcapng file; `application` is who writes it."""

    def __init__(self, output: Output, application: str) -> None:
        self._output = output
        self._phones: dict[str, _PhonePackets] = {}
        output.write(pcapng.section_header(application), is_vital=True)

    def link_opened(self, info: UsbDeviceInfo, time_ns: int, *, is_under_way: bool = False) -> LinkSink:
        """See `TraceSink`."""
        udid = info.serial_number
        phone = self._phones.get(udid)
        if phone is None:
            description = f"iPhone (product {info.product_id:#06x}) at {info.port_path}"
            blocks = pcapng.interface_description(udid, description, info.connection_speed)
            blocks += pcapng.name_resolution([(host_address(1), "host"), (phone_address(udid), udid)])
            self._output.write(blocks, is_vital=True)
            self._phones[udid] = phone = _PhonePackets(self._output, len(self._phones), phone_address(udid))
        return DecodedLink(phone, info, time_ns, is_under_way=is_under_way)

    def trace_ended(self, time_ns: int) -> None:
        """See `TraceSink`."""
        for phone in self._phones.values():
            phone.write_statistics(time_ns)


class _PhonePackets:
    def __init__(self, output: Output, interface: int, address: bytes) -> None:
        self._output = output
        self._interface = interface
        self._address = address
        self._port_uses: Counter[int] = Counter()
        """How often each port of the host has begun a connection."""
        self._written = 0
        self._dropped = 0
        self._dropped_in_row = 0
        """How many packets since the last one that was written."""

    def segment_seen(self, direction: Direction, segment: Segment, seen: PacketSeen, time_ns: int) -> None:
        is_out = direction is Direction.OUT
        host_port = segment.source_port if is_out else segment.destination_port
        if is_out and segment.flags & _SYN_OR_ACK == Flags.SYN:
            self._port_uses[host_port] += 1
        else:
            self._port_uses.setdefault(host_port, 1)  # a connection that is older than the capture
        # All connections begin at sequence number 0, so a port that is used again would look like a repetition:
        # the host gets an address for each use.
        host = host_address(self._port_uses[host_port])
        source, destination = (host, self._address) if is_out else (self._address, host)
        comment = shown_text(segment.payload) if segment.flags & Flags.RST else ""
        self._write(direction, tcp_packet(source, destination, segment), comment, time_ns)

    def event_seen(self, direction: Direction | None, event: LinkEvent, time_ns: int) -> None:
        host = host_address(1)
        source, destination = (self._address, host) if direction is Direction.IN else (host, self._address)
        data = bytes(event_payload(event)[:_MAX_EVENT_DATA])
        self._write(direction, event_packet(source, destination, data), event_text(event), time_ns)

    def _write(self, direction: Direction | None, packet: bytes, comment: str, time_ns: int) -> None:
        flags, missing = _FLAGS[direction], self._dropped_in_row
        block = pcapng.enhanced_packet(self._interface, time_ns, packet, flags, comment, dropped=missing)
        if self._output.write(block):
            self._written += 1
            self._dropped_in_row = 0
        else:
            self._dropped += 1
            self._dropped_in_row += 1

    def write_statistics(self, time_ns: int) -> None:
        """The last block of an interface."""
        received = self._written + self._dropped
        block = pcapng.interface_statistics(self._interface, time_ns, received=received, dropped=self._dropped)
        self._output.write(block, is_vital=True)
