"""Samples for pipes and files: a table, or a line of JSON for each."""

import json
import time
from typing import Final

from usbmux.commands.exits import ExitCode
from usbmux.commands.table import table
from usbmux.commands.top.columns import CLIENT_COLUMNS, PHONE_COLUMNS
from usbmux.commands.top.document import sample_document
from usbmux.commands.top.monitor import Monitor
from usbmux.commands.top.sample import Sample
from usbmux.commands.top.view import View
from usbmux.errors import UsbmuxError

PERIOD_S: Final = 1.0
"""Between two samples."""


def print_once(monitor: Monitor, *, as_json: bool) -> int:
    """Print one sample: tables, or a line of JSON. Takes two, because one does not say what moves."""
    monitor.sample()
    time.sleep(PERIOD_S)  # what is measured is this second
    sample = monitor.sample()
    print(_line(sample) if as_json else sample_text(sample), flush=True)
    return ExitCode.OK


def print_stream(monitor: Monitor) -> int:
    """Print a line of JSON for every sample until interrupted, over restarts of the daemon once it was there."""
    sample = monitor.sample()
    due = time.monotonic()
    while True:
        print(_line(sample), flush=True)
        due = max(due + PERIOD_S, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))  # samples are taken by the clock
        try:
            sample = monitor.sample()
        except UsbmuxError as error:
            sample = Sample(error=str(error))


def sample_text(sample: Sample) -> str:
    """Both tables, without what needs a history."""
    view = View()
    phones = [column for column in PHONE_COLUMNS if not column.is_history]
    clients = [column for column in CLIENT_COLUMNS if not column.is_history]
    rows = [[column.cell(phone) for column in phones] for phone in view.phones(sample)]
    texts = [table([[column.heading for column in phones], *rows])]
    if found := view.clients(sample):
        rows = [[column.cell(row) for column in clients] for row in found]
        texts.append(table([[column.heading for column in clients], *rows]))
    return "\n\n".join(texts)


def _line(sample: Sample) -> str:
    return json.dumps(sample_document(sample, time.time()))
