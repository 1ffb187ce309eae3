"""The options of ``usbmuxd`` that write down what crosses between it and the phones."""

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final

from usbmux import __version__
from usbmux.capture.lines import LineTrace
from usbmux.capture.output import Output, open_output
from usbmux.capture.pcapng_trace import PcapngTrace
from usbmux.capture.recording import Recorder
from usbmux.capture.trace_hub import TraceHub, TraceSink

_KINDS: Final[dict[str, Callable[[Output], TraceSink]]] = {
    "trace": LineTrace,
    "capture": lambda output: PcapngTrace(output, f"usbmuxd {__version__}"),
    "record": Recorder,
}
_HELP: Final = {
    "trace": "write a line for every packet to and from phones",
    "capture": "the same as a pcapng file, for Wireshark",
    "record": "write every transfer down, so that the phones can be replayed",
}


def add_trace_options(parser: argparse.ArgumentParser) -> None:
    """``--trace``, ``--capture`` and ``--record``."""
    group = parser.add_argument_group("traces", "Each takes a file, or - for the standard output.")
    for name, text in _HELP.items():
        group.add_argument(f"--{name}", metavar="FILE", help=text)


def check_trace_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End the program if the options exclude each other."""
    paths = [path for path in (getattr(options, name) for name in _KINDS) if path is not None]
    if len(paths) > len(set(paths)):
        parser.error("two traces cannot be written to one file")


def add_traces(hub: TraceHub, options: argparse.Namespace, stack: ExitStack) -> None:
    """Begin the traces that the options ask for; the stack ends them.

    Raises:
        UsbmuxError: A file cannot be written.
    """
    for name, kind in _KINDS.items():
        path: str | None = getattr(options, name)
        if path is not None:
            output = open_output(path)
            stack.callback(output.close)
            sink = kind(output)
            hub.add(sink)
            stack.callback(hub.remove, sink)
