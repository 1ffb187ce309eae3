"""The screen of ``usbmux top``. What it shows is decided elsewhere; here it is laid out, and keys are answered."""

import asyncio
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import ClassVar, Final, Protocol, TypeVar

from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer, Input, Static

from usbmux.commands.exits import ExitCode
from usbmux.commands.top.columns import CLIENT_COLUMNS, PHONE_COLUMNS
from usbmux.commands.top.details import client_details, phone_details
from usbmux.commands.top.dialogs import TextDialog, YesNoDialog
from usbmux.commands.top.live_table import LiveTable
from usbmux.commands.top.sample import ClientRow, PhoneRow, Sample
from usbmux.commands.top.summary import capture_text, counted, details_text, kick_question, summary_text
from usbmux.commands.top.view import View
from usbmux.errors import UsbmuxError

T = TypeVar("T")
_ENDING_SIGNALS: Final = {signal.SIGTERM: ExitCode.OK, signal.SIGINT: ExitCode.INTERRUPTED}
if hasattr(signal, "SIGHUP"):  # not on Windows
    _ENDING_SIGNALS[signal.SIGHUP] = ExitCode.OK


class Capture(Protocol):
    """A capture under way; `stop` may take a moment."""

    @property
    def path(self) -> str:
        """Of the file."""

    @property
    def packets(self) -> int:
        """How many are in it."""

    @property
    def error(self) -> str | None:
        """Why it ended before its time, if it did."""

    def stop(self) -> None:
        """End it."""


class Source(Protocol):
    """Where samples come from. Calls may take a moment, and raise `UsbmuxError`; one is made at a time."""

    def sample(self) -> Sample:
        """What the daemon is doing."""

    def kick(self, client: int) -> bool:
        """End a client; whether it was there until now."""

    def capture(self, udid: str | None, path: str) -> Capture:
        """Begin to capture one phone, None for all, into a file that is not there yet."""

    def interrupt(self) -> None:
        """Let the call under way fail, from another thread."""


class TopApp(App[int]):
    """Shows samples of a daemon until a key or a signal ends it; its value is the exit code.

    Args:
        source: Of the samples.
        sample: The first one.
        period_s: Between two samples.
    """

    CSS = """
    #summary { height: 1; }
    #summary.-trouble { color: $error; text-style: bold; }
    LiveTable { border: round $primary; scrollbar-size-vertical: 1; }
    LiveTable:focus { border: round $accent; }
    #phones { height: auto; min-height: 4; max-height: 40%; }
    #clients { height: 1fr; }
    #details { height: auto; max-height: 11; border: round $primary; display: none; }
    #filter { height: 1; border: none; padding: 0; display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "end(0)", "Quit"),
        Binding("ctrl+c", f"end({ExitCode.INTERRUPTED:d})", show=False, priority=True),  # in dialogs too
        Binding("slash", "filter", "Filter", priority=True),  # so that the words may be typed at once
        Binding("escape", "clear_filter", "All", show=False),
        Binding("s", "next_order", "Order"),
        Binding("d", "toggle_details", "Details"),
        Binding("k", "kick", "Kick client"),
        Binding("w", "capture(True)", "Capture phone"),
        Binding("W", "capture(False)", "Capture all"),
    ]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, source: Source, sample: Sample, period_s: float) -> None:
        super().__init__(ansi_color=True)  # the colours are the terminal's, or none at all with NO_COLOR
        self._source: Final = source
        self._sample = sample
        self._period_s: Final = period_s
        self._view = View()
        self._capture: Capture | None = None
        self._early_end: ExitCode | None = None
        self._thread: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="top")
        self._summary: Final = Static(id="summary", markup=False)
        self._phones: Final = LiveTable[PhoneRow](PHONE_COLUMNS, "phones")
        self._clients: Final = LiveTable[ClientRow](CLIENT_COLUMNS, "clients")
        self._details: Final = Static(id="details", markup=False)
        self._filter: Final = Input(placeholder="words to look for", id="filter")

    def compose(self) -> ComposeResult:
        """See `App`."""
        yield self._summary
        yield self._phones
        yield self._clients
        yield self._details
        yield self._filter
        yield Footer()

    def on_mount(self) -> None:
        """Begin to look at the daemon, and to mind signals."""
        self.theme = "ansi-dark"
        self._phones.focus()
        self._show()
        loop = asyncio.get_running_loop()
        for number, code in _ENDING_SIGNALS.items():
            loop.add_signal_handler(number, self.action_end, code)
        if self._early_end is not None:
            self.call_after_refresh(self.action_end, self._early_end)
        self.run_worker(self._keep_looking())

    def end_early(self, number: int, _frame: FrameType | None) -> None:
        """For signals that come while the screen is set up: it ends when it can put the terminal in order again."""
        self._early_end = _ENDING_SIGNALS[signal.Signals(number)]

    def on_unmount(self) -> None:
        """Leave no thread waiting, and no capture cut off."""
        self._source.interrupt()
        self._thread.shutdown()
        if self._capture is not None:
            self._capture.stop()

    async def look(self) -> None:
        """Take a sample and show it."""
        try:
            self._sample = await self._aside(self._source.sample)
        except UsbmuxError as error:
            self._sample = Sample(error=str(error))
        self._show()

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self._period_s)  # samples are taken by the clock
            await self.look()

    async def _aside(self, call: Callable[[], T]) -> T:
        """Call it in the thread that is there for the daemon."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    # What is shown

    def _show(self) -> None:
        sample, view = self._sample, self._view
        phones, clients = view.phones(sample), view.clients(sample)
        self._phones.show({phone.key: phone for phone in phones})
        self._clients.show({str(row.client.number): row for row in clients})
        self._phones.border_title = counted("phones", len(phones), len(sample.phones))
        self._clients.border_title = counted("clients", len(clients), len(sample.clients))
        capture = self._capture
        about_capture = None if capture is None else capture_text(capture.path, capture.packets, capture.error)
        self._summary.update(summary_text(sample, view, about_capture))
        self._summary.set_class(sample.error is not None, "-trouble")
        self._show_details()

    def _show_details(self) -> None:
        client, phone = self._chosen_client, self._chosen_phone
        if self._clients.has_focus and client is not None:
            self._details.update(details_text(client_details(client)))
        elif phone is not None:
            self._details.update(details_text(phone_details(phone)))
        else:
            self._details.update("nothing is chosen")

    @property
    def _chosen_phone(self) -> PhoneRow | None:
        key = self._phones.chosen
        return next((phone for phone in self._sample.phones if phone.key == key), None)

    @property
    def _chosen_client(self) -> ClientRow | None:
        key = self._clients.chosen
        return next((row for row in self._sample.clients if str(row.client.number) == key), None)

    def on_data_table_row_highlighted(self) -> None:
        """Another row is chosen."""
        self._show_details()

    def on_descendant_focus(self) -> None:
        """Another table is chosen."""
        self._show_details()

    def on_data_table_row_selected(self) -> None:
        """Enter, or a click."""
        self.action_toggle_details()

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """See `App`."""
        return action != "filter" or not isinstance(self.focused, Input)

    def action_end(self, code: int) -> None:
        """End with that exit code."""
        self.exit(code)

    def action_toggle_details(self) -> None:
        """Show or hide what is known of the chosen row."""
        self._details.display = not self._details.display

    def action_next_order(self) -> None:
        """Sort by something else."""
        self._view = View(self._view.filter, self._view.order.following)
        self._show()

    def action_filter(self) -> None:
        """Let words be typed."""
        self._filter.display = True
        self.screen.set_focus(self._filter)

    def action_clear_filter(self) -> None:
        """Show everything again."""
        self._filter.value = ""
        self._leave_filter()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter as it is typed."""
        if event.input is self._filter:
            self._view = View(event.value, self._view.order)
            self._show()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the words and go back to the tables."""
        if event.input is self._filter:
            self._leave_filter()

    def _leave_filter(self) -> None:
        self._filter.display = False
        if self._filter.has_focus:
            self._phones.focus()

    @work
    async def action_kick(self) -> None:
        """End the chosen client."""
        row = self._chosen_client
        if row is None or not await self.push_screen_wait(YesNoDialog(kick_question(row))):
            return
        number = row.client.number
        try:
            found = await self._aside(lambda: self._source.kick(number))
        except UsbmuxError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self.notify(f"client {number} " + ("was ended" if found else "had gone already"))
        await self.look()

    @work
    async def action_capture(self, is_of_one: bool) -> None:
        """Begin a capture, or end the one that is under way."""
        if self._capture is not None:
            capture, self._capture = self._capture, None
            await self._aside(capture.stop)
            self.notify(f"{capture.packets} packets are in {capture.path}", markup=False)
            self._show()
            return
        phone = self._chosen_phone
        udid = phone.status.udid if is_of_one and phone is not None else None
        question = f"File for what crosses to and from {udid or 'all phones'}:"
        name = await self.push_screen_wait(TextDialog(question, f"{udid or 'phones'}.pcapng"))
        if name is None:
            return
        try:
            self._capture = await self._aside(lambda: self._source.capture(udid, name))
        except UsbmuxError as error:
            self.notify(str(error), severity="error", markup=False)
        self._show()


def run_on_terminal(app: TopApp) -> int:
    """Let it have the terminal until its end, but for the mouse, and return the exit code."""
    for number in _ENDING_SIGNALS:
        signal.signal(number, app.end_early)
    code = app.run(mouse=False)
    return ExitCode.FAILURE if code is None else code
