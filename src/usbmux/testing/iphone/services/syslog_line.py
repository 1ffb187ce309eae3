"""Log entries as the lines of com.apple.syslog_relay."""

from typing import Final

from usbmux.testing.iphone.services.log_entry import LogEntry, LogLevel

LINE_END: Final = b"\n\0"
MAX_TEXT_LENGTH: Final = 0xFFFE
"""Longest message, in bytes before it is escaped; what is longer is cut."""
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LEVELS: Final = {
    LogLevel.NOTICE: "Notice",
    LogLevel.INFO: "Info",
    LogLevel.DEBUG: "Debug",
    LogLevel.ERROR: "Error",
    LogLevel.FAULT: "Fault",
}


def encode(entry: LogEntry, host: str) -> bytes:
    """The line of an entry, its end included; `host` is the name of the phone."""
    time = entry.time
    # The day is padded by a space: readers count columns.
    stamp = f"{_MONTHS[time.month - 1]} {time.day:2} {time:%H:%M:%S}"
    library = f"({entry.library})" if entry.library else ""
    name = "-".join(host.split()) or "iPhone"  # readers take it for one word
    head = f"{stamp} {name} {entry.process}{library}[{entry.pid}] <{_LEVELS[entry.level]}>: "
    message = entry.message.encode(errors="replace")[:MAX_TEXT_LENGTH]
    return escape(head.encode(errors="replace")) + escape(message) + LINE_END


def escape(text: bytes) -> bytes:
    r"""Write bytes as vis(3) does: plain ASCII, with ``\M-x``, ``\M^x``, ``\^x`` and ``\ooo`` for the rest."""
    return text if _is_plain(text) else b"".join(_ESCAPES[byte] for byte in text)


def _is_plain(text: bytes) -> bool:
    return text.isascii() and b"\\" not in text and text.replace(b"\n", b"").replace(b"\t", b"").decode().isprintable()


def _escape_byte(byte: int) -> bytes:
    match byte:
        case 0x09 | 0x0A:
            return bytes([byte])
        case 0x5C | 0xA0:
            return b"\\%03o" % byte
        case _ if byte < 0x20 or byte == 0x7F:
            return b"\\^%c" % (byte ^ 0x40)
        case _ if byte < 0x80:
            return bytes([byte])
    low = byte & 0x7F
    return b"\\M^%c" % (low ^ 0x40) if low < 0x20 or low == 0x7F else b"\\M-%c" % low


_ESCAPES: Final = tuple(map(_escape_byte, range(256)))
