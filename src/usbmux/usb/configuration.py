"""Puts a phone into a configuration with a mux interface, against whoever else sets configurations.

Kernel, udev rule and daemon all do so after a plug, in any order. And while a kernel driver holds one interface of
the device, its configuration cannot be changed at all.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Final

from usbmux.errors import UsbDisconnectedError, UsbError
from usbmux.usb.apple import MuxInterface, choose_mux_interface
from usbmux.usb.binding import translated
from usbmux.usb.session import UsbSession

_RETRY_STEP_S: Final = 0.1
_RETRY_FOR_S: Final = 3.0

_log = logging.getLogger("usbmux.usb")


async def configure_and_claim(session: UsbSession, *, anew: bool) -> MuxInterface:
    """Choose and set the configuration, check that it stays, and claim the mux interface in it.

    What fails is tried again in steps of 100 ms for 3 s.

    Args:
        session: The opened device.
        anew: Set the configuration even if it is in force already.

    Raises:
        UsbError: It still failed after 3 s, or the device is gone.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _RETRY_FOR_S
    while True:
        try:
            return await session.call(_configure_and_claim, session, anew)
        except UsbDisconnectedError:
            raise
        except UsbError as error:
            if loop.time() >= deadline:
                raise
            _log.debug("%s: trying again: %s", session.name, error)
        await session.release()
        await asyncio.sleep(_RETRY_STEP_S)


def _configure_and_claim(session: UsbSession, anew: bool) -> MuxInterface:
    mux = _configure(session, anew)
    session.claim(mux)
    # A claim keeps other programs from changing the configuration, but not udev's rules, and those may have run just
    # before it.
    _check(session, mux)
    return mux


def _configure(session: UsbSession, anew: bool) -> MuxInterface:
    active = _active_configuration(session)
    mux = choose_mux_interface(session.device, active)
    if mux is None:
        raise UsbError(f"{session.name} has no mux interface")
    if anew or active != mux.configuration:
        _detach_drivers(session, active)
        _log.debug("%s: changing configuration %d to %d", session.name, active, mux.configuration)
        with translated(f"set configuration {mux.configuration} of {session.name}"):
            session.handle.setConfiguration(mux.configuration)
        _check(session, mux)
    return mux


def _detach_drivers(session: UsbSession, active: int) -> None:
    for configuration in session.device.configurations:
        if configuration.value != active:
            continue
        for number in {interface.number for interface in configuration.interfaces}:
            # Where there are no kernel drivers, or another process has the interface, setting the configuration
            # tells; so nothing is to be done here.
            with suppress(UsbError), translated(f"detach the driver of interface {number} of {session.name}"):
                if session.handle.kernelDriverActive(number):
                    session.handle.detachKernelDriver(number)


def _check(session: UsbSession, mux: MuxInterface) -> None:
    active = _active_configuration(session)
    if active != mux.configuration:
        raise UsbError(f"{session.name}: configuration {mux.configuration} was set, but {active} is in force")


def _active_configuration(session: UsbSession) -> int:
    with translated(f"read the configuration of {session.name}"):
        return session.handle.getConfiguration()
