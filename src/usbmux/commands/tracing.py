"""The options of ``usbmuxd`` that write down what crosses between it and the phones."""

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from usbmux import __version__
from usbmux.capture.trace_hub import TraceHub, TraceSink

if TYPE_CHECKING:
    from usbmux.capture.output import Output

_HELP: Final = {
    "trace": "write a line for every packet to and from phones",
    "capture": "the same as a pcapng file, for Wireshark",
    "record": "write every transfer down, so that the phones can be replayed",
}


def add_trace_options(parser: argparse.ArgumentParser, path: Callable[[str], str]) -> None:
    """``--trace``, ``--capture`` and ``--record``; `path` checks what is given."""
    group = parser.add_argument_group("traces", "Each takes a file, or - for the standard output.")
    for name, text in _HELP.items():
        group.add_argument(f"--{name}", metavar="FILE", type=path, help=text)


def check_trace_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End the program if the options exclude each other, or those of the process or the log."""
    paths = [path for path in (getattr(options, name) for name in _HELP) if path is not None]
    files = [path if path == "-" else os.path.abspath(path) for path in paths]
    if len(files) > len(set(files)):
        parser.error("two traces cannot be written to one file")
    if options.logfile is not None and os.path.abspath(options.logfile) in files:
        parser.error("a trace cannot be written to the file of the log")
    if "-" in paths and sys.stdout is None:
        parser.error("a trace on the standard output needs an open one")
    if "-" in paths and not (options.foreground or options.systemd or sys.platform == "win32"):
        parser.error("a trace on the standard output needs --foreground: there is none in the background")


def add_traces(hub: TraceHub, options: argparse.Namespace, stack: ExitStack) -> None:
    """Begin the traces that the options ask for; the stack ends them.

    Raises:
        UsbmuxError: A file cannot be written.
    """
    for name in _HELP:
        path: str | None = getattr(options, name)
        if path is not None:
            _add_trace(hub, name, path, stack)


def _add_trace(hub: TraceHub, kind: str, path: str, stack: ExitStack) -> None:
    from usbmux.capture.output import open_output

    output = open_output(path)
    stack.callback(output.close)
    sink = _sink(kind, output)
    hub.add(sink)
    stack.callback(hub.remove, sink)


def _sink(kind: str, output: "Output") -> TraceSink:
    # Imported here: hardly any daemon writes a trace from its start, and none should wait for what it does not use.
    match kind:
        case "trace":
            from usbmux.capture.lines import LineTrace, TextLines

            return LineTrace(output, TextLines())
        case "capture":
            from usbmux.capture.pcapng_trace import PcapngTrace

            return PcapngTrace(output, f"usbmuxd {__version__}")
        case _:
            from usbmux.capture.recording import Recorder

            return Recorder(output)
