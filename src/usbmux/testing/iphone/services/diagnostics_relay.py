"""com.apple.mobile.diagnostics_relay: the battery, the registry of drivers, and requests to go down."""

from collections.abc import Callable, Mapping
from enum import StrEnum

from usbmux.testing.iphone.byte_stream import ByteStream
from usbmux.testing.iphone.plist_stream import read_plist, write_plist
from usbmux.testing.iphone.services import diagnostics
from usbmux.testing.iphone.services.context import ServiceContext
from usbmux.testing.iphone.services.log_entry import LogEntry
from usbmux.values import frozen

Answer = Mapping[str, object]
_SUCCESS = {"Status": "Success"}


class PowerAction(StrEnum):
    """What a host may ask the whole phone to do."""

    RESTART = "Restart"
    SHUTDOWN = "Shutdown"
    SLEEP = "Sleep"


@frozen
class DiagnosticsRelay:
    """Answers requests until the host ends or says goodbye."""

    carry_out: Callable[[PowerAction], None] | None = None
    """Called once the connection on which an action was asked for has ended; without it, actions are refused."""

    async def __call__(self, stream: ByteStream, phone: ServiceContext) -> None:
        """Serve one connection."""
        actions: list[PowerAction] = []
        try:
            while (request := await read_plist(stream)) is not None:
                await write_plist(stream, self._answer(request, phone, actions))
                if request.get("Request") == "Goodbye":
                    return
        finally:
            # Hosts wait for the phone to leave after they have closed the connection, not before.
            if self.carry_out is not None and actions:
                self.carry_out(actions[-1])

    def _answer(self, request: Mapping[object, object], phone: ServiceContext, actions: list[PowerAction]) -> Answer:
        match request.get("Request"):
            case "Restart" | "Shutdown" | "Sleep" as name:
                phone.log.post(LogEntry(f"a host asks the phone: {name}"))
                if self.carry_out is None:
                    return {"Status": "Failure"}
                actions[:] = [PowerAction(name)]
                return _SUCCESS
            case "Goodbye":
                return _SUCCESS
            case "IORegistry":
                return _with(diagnostics.registry(request, phone.identity))
            case "MobileGestalt":
                return _with(diagnostics.gestalt(request, phone.identity))
            case "All":
                return _with(diagnostics.REPORTS)
            case str() as name if name in diagnostics.REPORTS:
                return _with({name: diagnostics.REPORTS[name]})
            case _:
                return {"Status": "UnknownRequest"}


def _with(report: Mapping[str, object]) -> Answer:
    return {**_SUCCESS, "Diagnostics": report}
