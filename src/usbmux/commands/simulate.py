"""``usbmux simulate``: a daemon with virtual iPhones, for as long as somebody or a command needs them."""

import asyncio
import json
import os
import shlex
import signal
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Final

from usbmux.commands.exits import ExitCode, complain
from usbmux.control.address import parse_address
from usbmux.errors import UsbmuxError
from usbmux.testing import Pluggable, RunningDaemon, SimulatedPhone, default_phones, load_pluggables
from usbmux.values import frozen

_PROGRAM: Final = "usbmux simulate"
_KILLED: Final = 128
"""What is added to the number of the signal that ended a command, as shells do."""


@frozen
class SimulateOptions:
    """What was asked for."""

    sockets: tuple[str, ...]
    """Where the daemon listens; none for a private place."""
    command: tuple[str, ...]
    """What to run with it; nothing to serve until a signal comes."""
    as_json: bool


def chosen_phones(count: int, config: str | None, *, is_plain: bool) -> list[Pluggable]:
    """The phones to simulate.

    Args:
        count: How many, if there is no file.
        config: The file that describes them.
        is_plain: Whether those out of nothing have no lockdown.

    Raises:
        UsbmuxError: The file cannot be understood, or the extra ``testing`` is missing.
    """
    if config is not None:
        return load_pluggables(config)
    if is_plain:
        return list(default_phones(count))
    try:
        from usbmux.testing.iphone import default_iphones
    except ModuleNotFoundError as error:
        raise UsbmuxError(f"{error}; --plain simulates phones without lockdown, which need nothing") from error
    return list(default_iphones(count))


def run_simulation(options: SimulateOptions, phones: Sequence[Pluggable]) -> int:
    """Serve phones until a signal comes or the command has ended.

    Returns:
        The command's exit code, or failure if the daemon broke rules of the mux.

    Raises:
        AddressError: A socket is no address.
        OSError: It cannot be listened at, or the command cannot be run.
    """
    with asyncio.Runner() as runner:
        code = runner.run(_serve(options, phones))
    return code or judge(phone.device for phone in phones)


def judge(phones: Iterable[SimulatedPhone]) -> ExitCode:
    """Say what the phones hold against their hosts, and whether it is anything."""
    violations = [f"{phone.udid}: {violation}" for phone in phones for violation in phone.violations]
    for violation in violations:
        complain(_PROGRAM, f"a rule was broken: {violation}")
    return ExitCode.FAILURE if violations else ExitCode.OK


class _Signals:
    """Whether a signal has asked for the end; to be made in the loop."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.is_interrupt_for_command = False
        """The terminal interrupts a command too, and what that means is for the command to say."""
        if sys.platform == "win32":
            return  # an interrupt cancels everything, and there are no other signals
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
                loop.add_signal_handler(number, self.asked.set)

    def _interrupt(self) -> None:
        if not self.is_interrupt_for_command:
            self.asked.set()


async def _serve(options: SimulateOptions, phones: Sequence[Pluggable]) -> int:
    signals = _Signals()
    addresses = [parse_address(text) for text in options.sockets] or None
    with RunningDaemon(phones, addresses=addresses) as daemon:
        if options.command:
            return await _run(options.command, daemon.environment, signals)
        _tell(daemon, phones, as_json=options.as_json)
        await signals.asked.wait()
    return ExitCode.OK


async def _run(command: Sequence[str], environment: dict[str, str], signals: _Signals) -> int:
    signals.is_interrupt_for_command = True
    process = await asyncio.create_subprocess_exec(*command, env=os.environ | environment)
    terminating = asyncio.create_task(_terminate(process, signals.asked))
    code = await process.wait()
    terminating.cancel()
    return code if code >= 0 else _KILLED - code


async def _terminate(process: asyncio.subprocess.Process, asked: asyncio.Event) -> None:
    await asked.wait()
    with suppress(ProcessLookupError):  # it has just ended by itself
        process.terminate()


def _tell(daemon: RunningDaemon, phones: Sequence[Pluggable], *, as_json: bool) -> None:
    addresses = [str(address) for address in daemon.addresses]
    if as_json:
        listed = [{"udid": phone.device.udid, "summary": phone.summary} for phone in phones]
        print(json.dumps({"addresses": addresses, "environment": daemon.environment, "phones": listed}), flush=True)
        return
    for phone in phones:
        print(f"# {phone.device.udid}  {phone.summary}")
    print("# libimobiledevice, ifuse, go-ios, appium-ios-device, frida, usbmux, tcprelay:")
    print(f"export USBMUXD_SOCKET_ADDRESS={shlex.quote(daemon.environment['USBMUXD_SOCKET_ADDRESS'])}")
    print("# pymobiledevice3, once usbmux pair or another program has paired:")
    print(f"export PYMOBILEDEVICE3_USBMUX={shlex.quote(daemon.environment['PYMOBILEDEVICE3_USBMUX'])}")
    print(f"# tidevice: tidevice --socket {shlex.quote(daemon.environment['PYMOBILEDEVICE3_USBMUX'])}")
    print(f"# ready: {', '.join(addresses)}", flush=True)
