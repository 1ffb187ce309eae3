"""What a shell offers behind ``-u``."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Thread
from typing import Final

from click.shell_completion import CompletionItem

from usbmux.client.blocking import Client
from usbmux.client.device import Device
from usbmux.errors import UsbmuxError

_PATIENCE_S: Final = 0.2
"""A shell that completes a word does nothing else."""


def complete_device(address: str | None, typed: str) -> "list[CompletionItem[str]]":
    """What `items` gives for the phones of a daemon; nothing unless it answers at once.

    Args:
        address: The daemon's, or None for the default.
        typed: What is there of the word.
    """
    return list(items(devices_soon(lambda: Client(address, timeout_s=_PATIENCE_S).devices()), typed))


def devices_soon(ask: Callable[[], list[Device]]) -> list[Device]:
    """What the question brings within 200 ms; nothing if it fails, or takes longer."""
    devices: list[Device] = []

    def work() -> None:
        with suppress(UsbmuxError, OSError):
            devices.extend(ask())

    # A thread, because nothing else bounds the look-up of a host's name.
    thread = Thread(target=work, daemon=True)
    thread.start()
    thread.join(_PATIENCE_S)
    return list(devices)


def items(devices: Iterable[Device], typed: str) -> "Iterable[CompletionItem[str]]":
    """The UDIDs that begin with what was typed and, unless nothing was, the ports that do."""
    for device in devices:
        if device.udid.startswith(typed):
            yield CompletionItem(device.udid, help=f"at port {device.port_path}" if device.port_path else None)
        if typed and device.port_path.startswith(typed):
            yield CompletionItem(device.port_path, help=device.udid)
