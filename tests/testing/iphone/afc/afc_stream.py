"""A host that speaks AFC with a service over a stream."""

from tests.testing.iphone.afc.afc_host import HEADER, Answer, numbers, packet
from tests.testing.iphone.services.scene import Host
from usbmux.testing.iphone.afc.codec import HEADER_LENGTH, Operation
from usbmux.testing.iphone.afc.file_tree import OpenMode


async def read_answer(host: Host) -> Answer:
    _, entire_length, this_length, packet_number, operation = HEADER.unpack(await host.readexactly(HEADER_LENGTH))
    head = await host.readexactly(this_length - HEADER_LENGTH)
    return Answer(packet_number, operation, head, await host.readexactly(entire_length - this_length))


async def ask(host: Host, operation: int, head: bytes = b"", payload: bytes = b"") -> Answer:
    await host.write(packet(operation, head, payload))
    return await read_answer(host)


async def opened(host: Host, path: bytes, mode: OpenMode) -> int:
    return (await ask(host, Operation.OPEN, numbers(mode) + path)).number
