"""A virtual machine with USB host controllers, on which Debian's kernel runs our daemon."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from tests.kernel.channel import AgentChannel, Ended, GuestProgram
from tests.kernel.machine import KERNEL, QEMU
from tests.kernel.monitor import Monitor

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

BOOT_WITHIN_S = 120.0
# Emulated, as the same everywhere is worth more than fast; for trying things out, "kvm" may do.
ACCELERATOR = os.environ.get("USBMUX_KERNEL_ACCELERATOR", "tcg,thread=multi")


@dataclass(frozen=True, slots=True)
class Cable:
    """From a port of a controller to the socket of a usbredir server, behind which a phone is."""

    name: str
    controller: str
    """`xhci` or `ehci`."""
    socket_path: str

    def arguments(self) -> list[str]:
        """How QEMU is told."""
        chardev = f"socket,id={self.name}-channel,path={self.socket_path}"
        device = f"usb-redir,id={self.name},chardev={self.name}-channel,bus={self.controller}.0"
        return ["-chardev", chardev, "-device", device]


class Guest:
    """Boots when entered and is gone when left. `folder` takes its sockets and logs."""

    def __init__(
        self,
        initramfs: Path,
        folder: Path,
        *,
        processors: int = 1,
        cables: Iterable[Cable] = (),
        memory_mib: int = 768,
        kernel_options: str = "",
    ) -> None:
        self._folder = folder
        self._arguments = [
            *("-machine", "q35,usb=off,sata=off,smbus=off", "-accel", ACCELERATOR, "-cpu", "max"),
            *("-smp", str(processors), "-m", str(memory_mib)),
            *("-nodefaults", "-no-user-config", "-display", "none"),
            *("-kernel", str(KERNEL), "-initrd", str(initramfs)),
            *("-append", f"console=ttyS0 quiet nokaslr cryptomgr.notests panic=-1 {kernel_options}"),
            *("-no-reboot", "-serial", f"file:{self._console_log}"),
            *("-device", "virtio-serial-pci", "-device", "virtserialport,chardev=agent,name=agent"),
            *("-chardev", f"socket,id=agent,path={self._path('agent')}"),
            *("-chardev", f"socket,id=monitor,path={self._path('monitor')}", "-mon", "chardev=monitor,mode=control"),
            *("-device", "qemu-xhci,id=xhci", "-device", "usb-ehci,id=ehci"),
        ]
        for cable in cables:
            self._arguments += cable.arguments()
        self._ending = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as ending:
            started = time.monotonic()
            listeners = [ending.enter_context(_listener(self._path(name))) for name in ("agent", "monitor")]
            with (self._folder / "qemu.log").open("wb") as log:
                process = subprocess.Popen(
                    [QEMU, *self._arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
                )
            ending.callback(_end, process)
            try:
                agent, monitor = (listener.accept()[0] for listener in listeners)
            except TimeoutError as error:
                raise AssertionError(f"QEMU did not start:\n{self.log()}") from error
            self.monitor = ending.enter_context(Monitor(monitor))
            self._agent = AgentChannel(agent)
            ending.callback(self._agent.close)
            assert self._agent.wait_ready(BOOT_WITHIN_S), f"the guest did not boot:\n{self.log()}"
            self.run("until [ -e /run/settled ]; do sleep 0.05; done")
            self.booted_in_s = time.monotonic() - started
            self._ending = ending.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ending.close()

    def start(self, *arguments: str) -> GuestProgram:
        """Starts a program with these arguments, or a shell with the only one."""
        return self._agent.start(["sh", "-c", *arguments] if len(arguments) == 1 else list(arguments))

    def run(self, *arguments: str, within_s: float = 60.0, check: bool = True) -> Ended:
        """Runs a program, or a shell command, to its end. AssertionError if it fails (with `check`) or takes longer."""
        program = self.start(*arguments)
        try:
            status = program.wait(within_s)
        except AssertionError:
            program.signal(signal.SIGKILL)
            raise
        assert not (check and status), f"{arguments} ended with {status}:\n{program.output}"
        return Ended(status, program.output)

    def put(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Writes a file in the guest."""
        assert self._agent.put(path, data, mode).wait() == 0

    def log(self) -> str:
        """What QEMU and the guest's kernel have said, for whoever looks into a failure."""
        return "".join(
            f"--- {path.name}\n{path.read_text(errors='replace')}\n"
            for path in (self._folder / "qemu.log", self._console_log)
            if path.exists()
        )

    @property
    def _console_log(self) -> Path:
        return self._folder / "console.log"

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.sock"


def _listener(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.settimeout(BOOT_WITHIN_S)
    listener.bind(str(path))
    listener.listen()
    return listener


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
