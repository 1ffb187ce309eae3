"""What programs import before they do their work: that is most of the time that they need to start.

Modules are counted, because a clock would tell more about the machine. Each of those that are named here belongs to
something that the run does not do.
"""

from __future__ import annotations

import os
import plistlib
import re
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from tests.e2e.usbmuxd import COMMAND
from tests.support.daemon import clean_environment
from tests.support.process import ChildProcess
from usbmux import Client, PortRefusedError
from usbmux.admin.forward import KeptForward
from usbmux.admin.message import SUFFIX
from usbmux.client.admin import AdminClient
from usbmux.control.address import UnixAddress
from usbmux.testing import RunningDaemon, SimulatedPhone

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TELL: Final = ("-X", "importtime")
"""Python writes the name of each module on stderr once it is imported."""
NOT_FOR_LIST: Final = (
    *("argparse", "asyncio", "cryptography", "json", "logging", "ssl", "tomllib", "usb1"),
    *("usbmux.admin", "usbmux.capture", "usbmux.daemon", "usbmux.mux", "usbmux.relay", "usbmux.testing", "usbmux.usb"),
    *("usbmux.client.aio", "usbmux.client.compat", "usbmux.client.watch", "usbmux.control.server"),
)
NOT_FOR_ONE_LINE_OF_HELP: Final = ("dis", "inspect", "tokenize")
NOT_FOR_A_DAEMON: Final = (
    *("click", "cryptography", "http", "secrets", "usb1", "usbmux.testing.iphone"),
    *("usbmux.client", "usbmux.control.client", "usbmux.relay", "usbmux.capture.recording"),
    *("usbmux.daemon.exposition", "usbmux.daemon.metrics", "usbmux.daemon.metrics_server"),
    *("usbmux.testing.replay", "usbmux.testing.running", "usbmux.testing.usb_device", "usbmux.testing.usbredir"),
)


def imported(output: str) -> list[str]:
    """The modules, in the order in which they were ready."""
    return re.findall(r"^import time: .*\| +(\S+)$", output, re.MULTILINE)


def unwanted(modules: Sequence[str], names: Sequence[str]) -> set[str]:
    return {module for module in modules for name in names if f"{module}.".startswith(f"{name}.")}


def ours(modules: Sequence[str]) -> list[str]:
    return [module for module in modules if module.split(".")[0] == "usbmux"]


def test_list_imports_what_it_needs_only() -> None:
    with RunningDaemon([SimulatedPhone()]) as daemon:
        command = [sys.executable, *TELL, "-m", "usbmux", "--socket", str(daemon.addresses[0]), "list"]
        done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == f"{SimulatedPhone().udid}\n"
    modules = imported(done.stderr)
    assert unwanted(modules, NOT_FOR_LIST + NOT_FOR_ONE_LINE_OF_HELP) == set()
    assert len(ours(modules)) <= 31
    assert len(modules) <= 134


@pytest.mark.slow
def test_daemon_imports_what_it_needs_only_before_it_is_ready(tmp_path: Path) -> None:
    options = ["-S", str(tmp_path / "usbmuxd"), "-C", str(tmp_path / "records"), "--config", "NONE", "--simulate"]
    command = [COMMAND[0], *TELL, *COMMAND[1:], *options]
    with ChildProcess(command, environment=clean_environment()) as process:
        process.wait_for_line("^usbmuxd ready")
        modules = imported(process.output)
    assert unwanted(modules, NOT_FOR_A_DAEMON) == set()
    assert len(ours(modules)) <= 146
    assert len(modules) <= 340


@pytest.mark.slow
def test_daemon_is_ready_it_imports_nothing_more_whatever_it_is_asked(tmp_path: Path) -> None:
    """It may have become a user who cannot read the files, and another version of them may lie there by now."""
    path = tmp_path / "usbmuxd"
    metrics = tmp_path / "metrics"
    options = ["-S", str(path), "-C", str(tmp_path / "records"), "--metrics", str(metrics), "--simulate"]
    command = [COMMAND[0], *TELL, *COMMAND[1:], *options]
    with ChildProcess(command, environment=clean_environment()) as process:
        process.wait_for_line("^usbmuxd ready")
        begun = len(process.output)
        ask_everything(Client(str(path)), AdminClient(UnixAddress(f"{path}{SUFFIX}")), metrics)
        os.kill(process.pid, signal.SIGUSR2)
        os.kill(process.pid, signal.SIGHUP)
        process.wait_for_line("reloaded")
        assert imported(process.output[begun:]) == []


def ask_everything(client: Client, admin: AdminClient, metrics: Path) -> None:
    with client.watch() as events, admin.capture() as capture:
        device = next(events).device
        client.buid()
        client.save_pair_record(device.udid, plistlib.dumps({}), device_id=device.device_id)
        client.read_pair_record(device.udid)
        client.delete_pair_record(device.udid)
        with client.connect(device, 7) as stream:
            stream.sendall(b"hello")
            assert stream.recv(5) == b"hello"
            admin.status(detailed=True)
            wanted = [KeptForward(address, 7) for address in ("127.0.0.1:0", "127.0.0.2:0", f"unix:{metrics}.forward")]
            forwards = admin.add_forwards(wanted)
            with socket.create_connection(("127.0.0.1", int(forwards[0].listen.rpartition(":")[2]))) as program:
                program.sendall(b"hello")
                assert program.recv(5) == b"hello"
            admin.remove_forwards([forward.listen for forward in admin.forwards()])
            client.listeners()
        assert capture.read()
    with pytest.raises(PortRefusedError):
        client.connect(device, 8)
    with socket.socket(socket.AF_UNIX) as collector:
        collector.connect(str(metrics))
        collector.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert collector.recv(12) == b"HTTP/1.1 200"


def test_help_of_simulate_imports_nothing_that_simulates() -> None:
    command = [sys.executable, *TELL, "-m", "usbmux", "simulate", "--help"]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=60, check=True)
    assert "virtual iPhones" in done.stdout
    names = (*NOT_FOR_LIST, "usbmux.client", "usbmux.commands.simulate")
    assert unwanted(imported(done.stderr), names) == set()


def test_help_of_top_imports_nothing_of_it() -> None:
    command = [sys.executable, *TELL, "-m", "usbmux", "top", "--help"]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=60, check=True)
    assert "Keys: " in done.stdout
    names = (*NOT_FOR_LIST, "rich", "textual", "usbmux.client", "usbmux.commands.top")
    assert unwanted(imported(done.stderr), names) == set()


@pytest.mark.slow
def test_simulate_of_phones_without_lockdown_imports_no_cryptography() -> None:
    command = [sys.executable, *TELL, "-m", "usbmux", "simulate", "--plain", "--", "true"]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=60, check=True)
    assert unwanted(imported(done.stderr), ("cryptography", "usb1", "usbmux.testing.iphone")) == set()
