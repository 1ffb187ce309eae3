"""com.apple.syslog_relay: the phone's log as lines, from now on."""

from usbmux.testing.iphone.byte_stream import ByteStream
from usbmux.testing.iphone.services import syslog_line
from usbmux.testing.iphone.services.context import ServiceContext
from usbmux.testing.iphone.services.hub import Mailbox
from usbmux.testing.iphone.services.log_entry import LogEntry, LogLevel, loss_entry
from usbmux.testing.iphone.services.race import read_to_end, until_one_ends

_UNSEEN = (LogLevel.INFO, LogLevel.DEBUG)


async def syslog_relay(stream: ByteStream, phone: ServiceContext) -> None:
    """Send every entry graver than information until the host ends; what a slow host misses is told by a line."""
    name = phone.identity.value("DeviceName")
    host = name if isinstance(name, str) else ""
    with phone.log.open_mailbox(lambda entry: entry.level not in _UNSEEN) as mailbox:
        await until_one_ends(_relay(mailbox, stream, host), read_to_end(stream))


async def _relay(mailbox: Mailbox[LogEntry], stream: ByteStream, host: str) -> None:
    while True:
        delivery = await mailbox.receive()
        if delivery.lost:
            await stream.write(syslog_line.encode(loss_entry(delivery.lost), host))
        for entry in delivery.items:
            await stream.write(syslog_line.encode(entry, host))
