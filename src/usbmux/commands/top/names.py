"""What phones are called, asked for beside everything else."""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from usbmux.admin.message import PhoneStatus
from usbmux.errors import UsbmuxError

Asking = Callable[[frozenset[str]], Mapping[str, str]]
"""From the UDIDs of phones to the names of those that say theirs. May take seconds."""


class PhoneNames:
    """Asks each phone once for every time that it is attached. Nobody waits for the answers.

    Args:
        ask: Called in a thread of its own; may raise `UsbmuxError`.
    """

    def __init__(self, ask: Asking) -> None:
        self._ask: Final = ask
        self._asked: dict[str, int] = {}
        """The device id that each UDID had when its phone was asked."""
        self._known: Final[dict[str, str]] = {}
        self._thread: threading.Thread | None = None

    def names(self, phones: Iterable[PhoneStatus]) -> Mapping[str, str]:
        """The names that are known by now, by UDID. Begins to ask the phones that are new."""
        attached = {phone.udid: phone.device_id for phone in phones if phone.udid and phone.device_id is not None}
        new = frozenset(udid for udid, device_id in attached.items() if self._asked.get(udid) != device_id)
        if new and (self._thread is None or not self._thread.is_alive()):
            self._asked = attached
            self._thread = threading.Thread(target=self._learn, args=(new,), name="names of phones", daemon=True)
            self._thread.start()
        return dict(self._known)

    def _learn(self, udids: frozenset[str]) -> None:
        try:
            self._known.update(self._ask(udids))
        except UsbmuxError:
            return  # a phone without a name is shown as well


def ask_phones(address: str | None) -> Asking:
    """Asks by way of the daemon at that address, None for the default one."""

    def ask(udids: frozenset[str]) -> Mapping[str, str]:
        from usbmux.client.blocking import Client  # here, because the thread has time for it
        from usbmux.commands.names import names_of

        devices = [device for device in Client(address).devices() if device.udid in udids]
        found = names_of(address, devices)
        return {device.udid: name for device, (name, _model, _version) in found.items() if name != "-"}

    return ask
