"""What went wrong in this field before, as stimuli for any daemon; each tells what came of it."""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.daemon.harness import RawClient, connect_request, frame, some_bytes
from usbmux.testing import PhoneOptions, SimulatedPhone, digest, echo, pattern, source

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from usbmux.mux.segment import Segment
    from usbmux.testing import PhoneStream

ECHO, LATER, SOURCE, DIGEST = 7, 9, 19, 99
UDIDS = ("00008030-001A2B3C4D5E6F01", "00008110-000A1D2E3F4B5C6D")
LENGTH = 200_000
"""More than a window, and what is beyond it fits into a socket."""
SILENCE_S = 2.0
"""Who has not answered by then does not."""
PAUSE_S = 0.3
"""For what nobody announces."""
SYN_SILENCE_S = 5.0
"""Clients give up then."""
DESCRIPTORS = 80
IDLE_CLIENTS = 120


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a stimulus, in a few words, and whether it is what we promise."""

    text: str
    is_right: bool


class Subject:
    """A daemon with phones, and its clients."""

    def __init__(self, connect: Callable[[], Awaitable[RawClient]], phones: Sequence[SimulatedPhone]) -> None:
        self.client = connect
        self.phones = phones
        self.device_ids: dict[str, int] = {}

    async def stream(self, port: int, phone: int = 0) -> RawClient:
        client = await self.client()
        await client.connect(port, self.device_ids[UDIDS[phone]])
        return client


@dataclass(frozen=True, slots=True)
class Stimulus:
    name: str
    apply: Callable[[Subject], Awaitable[Answer]]
    make_phones: Callable[[], Sequence[SimulatedPhone]]


def one_phone(options: PhoneOptions | None = None) -> Callable[[], Sequence[SimulatedPhone]]:
    ports = {ECHO: echo, SOURCE: source, DIGEST: digest}
    return lambda: [SimulatedPhone(UDIDS[0], ports=ports, options=options or PhoneOptions(initial_sequence=0))]


def two_phones() -> Sequence[SimulatedPhone]:
    ports = {ECHO: echo, SOURCE: source}
    return [SimulatedPhone(udid, ports=ports, options=PhoneOptions(initial_sequence=0)) for udid in UDIDS]


async def answered_within(seconds: float, answer: Awaitable[bytes]) -> bytes | None:
    """What came, or None."""
    try:
        return await asyncio.wait_for(answer, seconds)
    except TimeoutError:
        return None


async def to_the_end(client: RawClient) -> bytes:
    """Everything, whether the end is clean or not, or as much as came before a silence."""
    received = bytearray()
    try:
        while data := await answered_within(SILENCE_S, client.receive()):
            received += data
    except ConnectionError:
        pass
    return bytes(received)


async def half_close(subject: Subject) -> Answer:
    data = some_bytes(LENGTH)
    client = await subject.stream(DIGEST)
    await client.send(LENGTH.to_bytes(8) + data)
    client.shut_down_writing()
    received = await to_the_end(client)
    is_right = received == hashlib.sha256(data).digest()
    return Answer(f"{len(received)} of 32 bytes of the answer", is_right)


async def close(subject: Subject) -> Answer:
    closed = asyncio.Event()
    collected = asyncio.get_running_loop().create_future()

    async def collect(stream: PhoneStream) -> None:
        await closed.wait()
        received = 0
        while not stream.is_closed:
            received += len(await stream.read(1000))
            await asyncio.sleep(0.001)  # a phone that is slower than the link
        collected.set_result(received)

    subject.phones[0].add_port(LATER, collect)
    client = await subject.stream(LATER)
    await client.send(bytes(LENGTH))
    client.close()
    await asyncio.sleep(PAUSE_S)  # no event tells that the daemon has seen it
    closed.set()
    received = await asyncio.wait_for(collected, 20)
    return Answer(f"{received} of {LENGTH} bytes taken by the phone before the reset", received == LENGTH)


async def reset_with_unread_data(subject: Subject) -> Answer:
    filled = asyncio.get_running_loop().create_future()

    async def fill_and_reset(stream: PhoneStream) -> None:
        sent = 0
        while True:
            try:
                await asyncio.wait_for(stream.write(pattern(4096, sent)), PAUSE_S)
            except TimeoutError:  # the host takes no more
                stream.reset(b"enough")
                filled.set_result(sent)
                return
            sent += 4096

    subject.phones[0].add_port(LATER, fill_and_reset)
    slow, other = await subject.stream(LATER), await subject.stream(ECHO, phone=1)
    longest_s, began = 0.0, time.monotonic()
    while time.monotonic() - began < SILENCE_S:
        asked = time.monotonic()
        await other.send(b"x")
        await other.receive_exactly(1)
        longest_s = max(longest_s, time.monotonic() - asked)
    sent = await asyncio.wait_for(filled, 20)
    received = await to_the_end(slow)
    took = f"another phone answers within {longest_s * 1000:.0f} ms"
    return Answer(f"{min(len(received), sent)} of {sent} bytes; {took}", received[:sent] == pattern(sent))


async def syn_unanswered(subject: Subject) -> Answer:
    client = await subject.client()
    began = time.monotonic()
    await client.send(connect_request(subject.device_ids[UDIDS[0]], ECHO))
    answer = await answered_within(SYN_SILENCE_S, client.receive())
    took = f"within {SYN_SILENCE_S:g} s" if answer is None else f"after {time.monotonic() - began:.1f} s"
    return Answer(f"{'an' if answer else 'no'} answer {took}", bool(answer))


def lose_the_fifth() -> Callable[[Segment], Segment | None]:
    count = 0

    def lose(segment: Segment) -> Segment | None:
        nonlocal count
        count += bool(segment.payload)
        return None if segment.payload and count == 5 else segment

    return lose


async def segment_lost(subject: Subject) -> Answer:
    client = await subject.stream(SOURCE)
    await client.send(LENGTH.to_bytes(8))
    received = await to_the_end(client)
    is_whole = received == bytes(pattern(LENGTH))[: len(received)]
    return Answer(f"{len(received)} bytes, {'all of them right' if is_whole else 'with a gap in them'}", is_whole)


async def descriptors_run_out(subject: Subject) -> Answer:
    clients = []
    try:
        for _ in range(IDLE_CLIENTS):
            clients.append(await subject.client())
        for _ in range(IDLE_CLIENTS):  # enough turns of the daemon's to try to accept each of them
            await clients[0].request({"MessageType": "ListDevices"})
        for client in clients:
            client.close()
        asker = await subject.client()
        answer = await asyncio.wait_for(asker.request({"MessageType": "ListDevices"}), 20)
    except (OSError, AssertionError) as error:
        return Answer(f"not there any more ({type(error).__name__})", False)
    return Answer("serves on", "DeviceList" in answer)


async def no_plist(subject: Subject) -> Answer:
    client = await subject.client()
    await client.send(frame(b"this is no property list", version=1, message=8, tag=1))
    answer = await answered_within(SILENCE_S, client.receive())
    return Answer("an answer" if answer else "no answer", bool(answer))


async def request_while_listening(subject: Subject) -> Answer:
    client = await subject.client()
    await client.send(frame(b"", version=0, message=3, tag=1))
    await client.receive_exactly(20)
    await client.receive_frame()  # the phone that is there
    await client.send(frame(b"", version=0, message=3, tag=2))
    answer = await to_the_end(client)
    return Answer("an answer, then the end" if answer else "only the end", bool(answer))


STIMULI = (
    Stimulus("B1  half-close behind the request", half_close, one_phone()),
    Stimulus("B1  close behind the data", close, one_phone()),
    Stimulus("B2  reset while the client reads nothing", reset_with_unread_data, two_phones),
    Stimulus("B10 SYN that is never answered", syn_unanswered, one_phone(PhoneOptions(answer_syn=False))),
    Stimulus(
        "B11 segment lost on the link",
        segment_lost,
        lambda: one_phone(PhoneOptions(initial_sequence=0, tamper=lose_the_fifth()))(),  # each time another counter
    ),
    Stimulus("B14 no descriptors left for a while", descriptors_run_out, one_phone()),
    Stimulus("B14 request that is no property list", no_plist, one_phone()),
    Stimulus("B14 request of a listener", request_while_listening, one_phone()),
)
