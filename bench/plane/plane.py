"""A sketch of a data plane in Python, as short as one can be: plane.py ... -S SOCKET ...

What plane.c is in C: the same bus, clients and packets, the same number of transfers, the same acknowledgements. It
exists to be measured, as the lower bound of what the interpreter costs: it believes the phone and every client, so
nothing is checked, logged or counted, no phone comes or goes, and a client that half-closes is gone.
"""

import ctypes
import gc
import re
import select
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Final

READS: Final = 8
READ_SIZE: Final = 16384
WRITES: Final = 8
LONGEST: Final = 0xBFFC
WINDOW: Final = 131072
DELAY_S: Final = 0.005
IN: Final = 0x85
OUT: Final = 0x04
SYN, RST, ACK = 2, 4, 16
MASK: Final = 0xFFFFFFFF
HEADERS: Final = struct.Struct(">IIIHHHHIIBBHHH")
ROOM: Final = HEADERS.size
OFFER: Final = bytes.fromhex("0000000000000014000000020000000000000000")
SETUP: Final = bytes.fromhex("0000000200000011feedface0000ffff07")
PENDING: Final = -1
STATUS, LENGTH, ACTUAL = 4, 5, 6  # where they stand in a transfer, in words of four bytes


class PollDescriptor(ctypes.Structure):
    """One of libusb's."""

    _fields_ = (("fd", ctypes.c_int), ("events", ctypes.c_short))


class Transfer:
    """Memory, and the structure that libusb sees; how it ended is read from its words."""

    __slots__ = ("address", "buffer", "words")

    def __init__(self, library: ctypes.PyDLL, handle: int, endpoint: int, size: int) -> None:
        at = int(library.libusb_alloc_transfer(0))
        memory = bytearray(size)
        self.buffer: Final = memoryview(memory)
        self.words: Final = memoryview((ctypes.c_int * 14).from_address(at)).cast("B").cast("i")
        self.address: Final = ctypes.c_size_t(at)
        fields = (ctypes.c_char * 56).from_address(at)
        struct.pack_into("PBBB", fields, 0, handle, 8 if endpoint == OUT else 0, endpoint, 2)
        # Any function of one argument that does nothing: when a transfer has ended its status says so.
        struct.pack_into("P", fields, 32, ctypes.cast(ctypes.CDLL(None).abs, ctypes.c_void_p).value)
        struct.pack_into("P", fields, 48, ctypes.addressof(ctypes.c_char.from_buffer(memory)))
        self.words[STATUS], self.words[LENGTH] = PENDING, size


class Stream:
    """A client, then its connection."""

    __slots__ = (
        "control", "has_input", "held", "is_lined_up", "is_open", "local_port", "owes", "port", "rcv_acked",
        "rcv_taken", "snd_nxt", "snd_una", "snd_wnd", "sock", "tag",
    )  # fmt: skip

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.held = bytearray()
        self.is_open = self.is_lined_up = self.has_input = self.owes = False
        self.control = self.local_port = self.port = self.tag = 0
        self.snd_una = self.snd_nxt = self.snd_wnd = self.rcv_taken = self.rcv_acked = 0


class Plane:
    """All of it."""

    def __init__(self, path: str) -> None:
        self.by_port: dict[int, Stream] = {}
        self.line: deque[Stream] = deque()
        self.watched: dict[int, Callable[[int], None]] = {}
        self.poll = select.epoll()
        self.tx_seq, self.rx_seq, self.last_port, self.owed_at = 0, 0xFFFF, 0, 0.0
        self.is_greeted = False
        self.incoming: Stream | None = None
        self.incoming_left = 0
        self.busy: deque[Transfer] = deque()
        self.open_phone()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1024)
        self.watch(self.listener.fileno(), select.EPOLLIN, self.accept)

    def open_phone(self) -> None:
        """Take the first phone, and greet it."""
        library = ctypes.PyDLL("libusb-1.0.so.0")
        library.libusb_alloc_transfer.restype = ctypes.c_void_p
        library.libusb_get_pollfds.restype = ctypes.POINTER(ctypes.POINTER(PollDescriptor))
        context, handle, devices = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.POINTER(ctypes.c_void_p)()
        library.libusb_init(ctypes.byref(context))
        library.libusb_get_device_list(context, ctypes.byref(devices))
        library.libusb_open(ctypes.c_void_p(devices[0]), ctypes.byref(handle))
        library.libusb_claim_interface(handle, 1)
        prototype = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_size_t)
        self.submit = prototype(("libusb_submit_transfer", library))
        prototype = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
        self.handle_events = prototype(("libusb_handle_events_timeout", library))
        self.no_time = (ctypes.c_long * 2)(0, 0)
        self.arguments = (context, ctypes.c_void_p(ctypes.addressof(self.no_time)))
        self.idle = [Transfer(library, handle.value or 0, OUT, LONGEST) for _ in range(WRITES)]
        self.reads = deque(Transfer(library, handle.value or 0, IN, READ_SIZE) for _ in range(READS))
        for transfer in self.reads:
            self.submit(transfer.address)
        self.write(OFFER)
        while not self.is_greeted:
            self.bus_is_ready(0)
        self.write(SETUP)
        self.tx_seq = 1
        descriptors = library.libusb_get_pollfds(context)
        index = 0
        while descriptors[index]:
            self.watch(descriptors[index].contents.fd, descriptors[index].contents.events, self.bus_is_ready)
            index += 1

    def write(self, packet: bytes) -> None:
        """Anything."""
        transfer = self.idle.pop()
        transfer.buffer[: len(packet)] = packet
        transfer.words[STATUS], transfer.words[LENGTH] = PENDING, len(packet)
        self.submit(transfer.address)
        self.busy.append(transfer)

    def transmit(self, stream: Stream, flags: int, count: int) -> None:
        """A segment with as many bytes as stand in the next transfer, behind the room for its headers."""
        transfer = self.idle.pop()
        HEADERS.pack_into(
            transfer.buffer, 0, 6, ROOM + count, 0xFEEDFACE, self.tx_seq, self.rx_seq, stream.local_port, stream.port,
            stream.snd_nxt, stream.rcv_taken, 0x50, flags, WINDOW >> 8, 0, 0,
        )  # fmt: skip
        self.tx_seq = (self.tx_seq + 1) & 0xFFFF
        stream.snd_nxt = (stream.snd_nxt + count + (flags == SYN)) & MASK
        stream.rcv_acked = stream.rcv_taken
        stream.owes = False
        stream.control = 0
        transfer.words[STATUS], transfer.words[LENGTH] = PENDING, ROOM + count
        self.submit(transfer.address)
        self.busy.append(transfer)

    def line_up(self, stream: Stream, control: int = 0) -> None:
        """It has something to send."""
        stream.control = control or stream.control
        if not stream.is_lined_up:
            stream.is_lined_up = True
            self.line.append(stream)

    def serve_line(self) -> None:
        """Each may send one packet in turn, as long as there are writes."""
        line, idle = self.line, self.idle
        while line and idle:
            stream = line.popleft()
            stream.is_lined_up = False
            if stream.is_open and stream.has_input:
                room = (stream.snd_una + stream.snd_wnd - stream.snd_nxt) & MASK
                if 0 < room <= WINDOW << 8:
                    self.send_input(stream, room)
            if stream.control:
                if idle:
                    self.transmit(stream, stream.control, 0)
                else:
                    self.line_up(stream)

    def send_input(self, stream: Stream, room: int) -> None:
        """What a client has sent, as far as one packet takes it."""
        limit = LONGEST - ROOM if room > LONGEST - ROOM else room
        try:
            count = stream.sock.recv_into(self.idle[-1].buffer[ROOM:], limit)
        except BlockingIOError:
            stream.has_input = False
            return
        except OSError:
            count = 0
        if count:
            stream.has_input = count == limit
            self.transmit(stream, ACK, count)
            if stream.has_input:
                self.line_up(stream)
        else:
            stream.is_open = stream.has_input = False
            del self.by_port[stream.local_port], self.watched[stream.sock.fileno()]
            stream.sock.close()
            stream.control = RST

    def note_taken(self, stream: Stream, count: int) -> None:
        """A client has taken so much."""
        stream.rcv_taken = (stream.rcv_taken + count) & MASK
        if (stream.rcv_taken - stream.rcv_acked) & MASK >= WINDOW // 4:
            self.line_up(stream, ACK)
        elif not stream.owes:
            stream.owes = True
            self.owed_at = self.owed_at or time.monotonic() + DELAY_S

    def deliver(self, stream: Stream, pieces: list[memoryview]) -> None:
        """Give a client what came for it."""
        total = len(pieces[0]) if len(pieces) == 1 else sum(map(len, pieces))
        taken = 0
        if not stream.is_open:
            return
        if not stream.held:
            try:
                taken = stream.sock.send(pieces[0]) if len(pieces) == 1 else stream.sock.sendmsg(pieces)
            except BlockingIOError:
                pass
            except OSError:
                return
        if taken < total:
            stream.held += b"".join(pieces)[taken:]
        if taken:
            self.note_taken(stream, taken)

    def answer(self, stream: Stream, properties: bytes) -> None:
        """To a request."""
        text = b'<plist version="1.0"><dict>' + properties + b"</dict></plist>\n"
        stream.sock.send(struct.pack("<4I", 16 + len(text), 1, 8, stream.tag) + text)

    def bus_is_ready(self, _events: int) -> None:
        """Take what has ended; data for the same client that follows each other is delivered together."""
        self.handle_events(*self.arguments)
        busy, reads = self.busy, self.reads
        while busy and busy[0].words[STATUS] == 0:
            self.idle.append(busy.popleft())
        ended: list[Transfer] = []
        last: Stream | None = None
        pieces: list[memoryview] = []
        while reads and reads[0].words[STATUS] == 0:
            transfer = reads.popleft()
            ended.append(transfer)
            stream, data = self.take(transfer.buffer, transfer.words[ACTUAL])
            if stream is not None and data is not None:
                if stream is last:
                    pieces.append(data)
                else:
                    if last is not None:
                        self.deliver(last, pieces)
                    last, pieces = stream, [data]
        if last is not None:
            self.deliver(last, pieces)
        for transfer in ended:
            transfer.words[STATUS] = PENDING
            self.submit(transfer.address)
        reads += ended

    def take(self, buffer: memoryview, size: int) -> tuple[Stream | None, memoryview | None]:
        """A packet begins with a transfer, because the one before it ended that of its end."""
        if self.incoming_left > 0:
            self.incoming_left -= size
            return self.incoming, buffer[:size]
        if not self.is_greeted or size < ROOM:
            self.is_greeted = True
            return None, None
        (_, length, _, self.rx_seq, _, _, to, seq, ack, _, flags, window, _, _) = HEADERS.unpack_from(buffer)
        stream = self.by_port.get(to)
        if stream is None:
            return None, None
        stream.snd_una, stream.snd_wnd = ack, window << 8
        if flags != ACK:
            self.take_control(stream, flags, seq)
            return None, None
        if stream.has_input:
            self.line_up(stream)
        self.incoming, self.incoming_left = stream, length - size
        return (stream, buffer[ROOM:size]) if size > ROOM else (None, None)

    def take_control(self, stream: Stream, flags: int, seq: int) -> None:
        """The beginning or the end of a connection."""
        if flags == SYN | ACK:
            stream.rcv_taken = stream.rcv_acked = (seq + 1) & MASK
            stream.is_open = True
            self.line_up(stream, ACK)
            self.answer(stream, b"<key>Number</key><integer>0</integer>")
        elif stream.is_open:
            stream.sock.shutdown(socket.SHUT_RDWR)

    def watch(self, descriptor: int, events: int, ready: Callable[[int], None]) -> None:
        """From now on."""
        self.watched[descriptor] = ready
        self.poll.register(descriptor, events)

    def accept(self, _events: int) -> None:
        """A client comes."""
        sock, _ = self.listener.accept()
        stream = Stream(sock)

        def ready(events: int) -> None:
            if not stream.local_port:
                if events & (select.EPOLLIN | select.EPOLLHUP):
                    self.serve_request(stream)
                return
            if events & select.EPOLLOUT and stream.held:
                self.flush(stream)
            if events & (select.EPOLLIN | select.EPOLLHUP):
                stream.has_input = True
                self.line_up(stream)

        self.watch(sock.fileno(), select.EPOLLIN | select.EPOLLOUT | select.EPOLLET, ready)

    def flush(self, stream: Stream) -> None:
        """A client takes more."""
        try:
            taken = stream.sock.send(stream.held)
        except OSError:
            return
        del stream.held[:taken]
        self.note_taken(stream, taken)

    def serve_request(self, stream: Stream) -> None:
        """One request; a client that connects becomes a stream."""
        header = stream.sock.recv(16)
        if len(header) < 16:
            del self.watched[stream.sock.fileno()]
            stream.sock.close()
            return
        length, _, _, stream.tag = struct.unpack("<4I", header)
        found = re.search(rb">PortNumber<.*?<integer>(\d+)", stream.sock.recv(length - 16), re.DOTALL)
        if found is None:
            self.answer(stream, b"<key>DeviceID</key><integer>1</integer>")
            return
        stream.sock.setblocking(False)
        self.last_port += 1
        stream.port, stream.local_port = socket.ntohs(int(found[1])), self.last_port
        self.by_port[self.last_port] = stream
        self.line_up(stream, SYN)

    def acknowledge_owed(self) -> None:
        """What was not carried by data in time."""
        self.owed_at = 0.0
        for stream in self.by_port.values():
            if stream.owes:
                self.line_up(stream, ACK)
        self.serve_line()

    def run(self) -> None:
        """For ever."""
        gc.freeze()
        while True:
            for descriptor, events in self.poll.poll(DELAY_S if self.owed_at else -1):
                if (ready := self.watched.get(descriptor)) is not None:
                    ready(events)
                    if self.line:
                        self.serve_line()
            if self.owed_at and time.monotonic() >= self.owed_at:
                self.acknowledge_owed()


if __name__ == "__main__":
    Plane(sys.argv[sys.argv.index("-S") + 1]).run()
