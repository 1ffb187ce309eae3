"""com.apple.os_trace_relay: the phone's log as records, and who is running."""

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath

from usbmux.testing.iphone.byte_stream import ByteStream
from usbmux.testing.iphone.plist_stream import read_plist
from usbmux.testing.iphone.services import trace_record
from usbmux.testing.iphone.services.context import ServiceContext
from usbmux.testing.iphone.services.hub import Mailbox
from usbmux.testing.iphone.services.log_entry import PROCESSES, LogEntry, LogLevel, loss_entry
from usbmux.testing.iphone.services.race import read_to_end, until_one_ends
from usbmux.values import field, frozen

_SUCCESS = {"Status": "RequestSuccessful"}
_FAILURE = {"Status": "RequestFailed"}
_EVERY_PROCESS = 0xFFFFFFFF
_LOG_MESSAGES = 0x04
"""The bit of MessageFilter that asks for log entries."""
_VERBOSE = 0x20
"""The bit of StreamFlags that asks for information and debug entries too."""
_VERBOSE_LEVELS = (LogLevel.INFO, LogLevel.DEBUG)


@frozen
class OsTraceRelay:
    """Answers PidList, refuses CreateArchive, and after StartActivity sends entries until the host ends.

    The host chooses a process (-1, or the same without a sign, for all) and whether it wants the levels below
    notice. What a slow host misses is told by a record.
    """

    processes: Mapping[int, str] = field(default_factory=lambda: PROCESSES)
    """What runs: paths by process id."""

    async def __call__(self, stream: ByteStream, phone: ServiceContext) -> None:
        """Serve one connection."""
        while (request := await read_plist(stream)) is not None:
            match request.get("Request"):
                case "StartActivity":
                    with phone.log.open_mailbox(_filter(request)) as mailbox:
                        await stream.write(trace_record.encode_reply(_SUCCESS))
                        await until_one_ends(_relay(mailbox, stream), read_to_end(stream))
                    return
                case "PidList":
                    await stream.write(trace_record.encode_reply(self._process_list()))
                case _:
                    await stream.write(trace_record.encode_reply(_FAILURE))

    def _process_list(self) -> dict[str, object]:
        names = {str(pid): {"ProcessName": PurePosixPath(path).name} for pid, path in self.processes.items()}
        return {**_SUCCESS, "Payload": names}


def _filter(request: Mapping[object, object]) -> Callable[[LogEntry], bool]:
    pid = _number(request, "Pid", _EVERY_PROCESS) & _EVERY_PROCESS
    has_messages = _number(request, "MessageFilter", _LOG_MESSAGES) & _LOG_MESSAGES
    is_verbose = _number(request, "StreamFlags", 0) & _VERBOSE

    def wants(entry: LogEntry) -> bool:
        if not has_messages or pid not in (_EVERY_PROCESS, entry.pid):
            return False
        return bool(is_verbose) or entry.level not in _VERBOSE_LEVELS

    return wants


def _number(request: Mapping[object, object], key: str, default: int) -> int:
    value = request.get(key)
    return value if isinstance(value, int) else default


async def _relay(mailbox: Mailbox[LogEntry], stream: ByteStream) -> None:
    while True:
        delivery = await mailbox.receive()
        if delivery.lost:
            await stream.write(trace_record.encode(loss_entry(delivery.lost)))
        for entry in delivery.items:
            await stream.write(trace_record.encode(entry))
