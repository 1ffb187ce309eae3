"""``usbmux demo``: the whole way through once, with processes of our own and a simulated phone."""

import hashlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from usbmux.client.blocking import Client
from usbmux.commands.exits import ExitCode
from usbmux.errors import UsbmuxError
from usbmux.testing.private_directory import private_directory

_TOTAL: Final = 64 << 20
_CHUNK: Final = 1 << 18
_ECHO_PORT: Final = 7
_STALL_S: Final = 20.0
_UNIX: Final = hasattr(socket, "AF_UNIX")

_NEXT_STEPS: Final = """
What happened: a simulated iPhone was plugged into usbmuxd, which shook hands with it over (simulated) USB and
showed it to clients. usbmux forward opened a port of this computer; every byte sent to it went through the daemon
to a port of the phone, which sent it back, both ways at once and with nothing lost.

With a real phone:
  sudo usbmuxd -f -v                # the daemon, if none is running yet (Apple's on macOS will do)
  usbmux list -l                    # phones, once they are plugged in and unlocked
  usbmux forward 2222:22 &          # ssh of a jailbroken phone
  ssh -p 2222 root@localhost
  ssh -o ProxyCommand='usbmux connect 22' root@iphone     # the same without a port
Without one:
  usbmuxd -f -S /tmp/usbmuxd --simulate 2 &  export USBMUXD_SOCKET_ADDRESS=UNIX:/tmp/usbmuxd
  usbmux list; idevice_id -l        # any program that knows usbmux"""


def run_demo() -> int:
    """Show it and check it.

    Raises:
        UsbmuxError: A part did not come up.
    """
    with private_directory("usbmux-demo-") as directory:
        address = str(Path(directory) / "usbmuxd") if _UNIX else "127.0.0.1:0"
        with _daemon(address, directory) as address:
            _show_devices(address)
            with _forward(address) as port:
                same = _echo(port)
    print("digests:  equal, nothing lost or changed" if same else "digests:  DIFFERENT")
    print(_NEXT_STEPS)
    return ExitCode.OK if same else ExitCode.FAILURE


@contextmanager
def _daemon(address: str, directory: str) -> Iterator[str]:
    arguments = ["-f", "-S", address, "-C", str(Path(directory) / "lockdown"), "--simulate", "1"]
    print(f"$ usbmuxd {shlex.join(arguments)}")
    with _process("usbmux.commands.usbmuxd", arguments) as process:
        assert process.stderr is not None
        ready = _wait_for_line(process, process.stderr, re.compile(r"usbmuxd ready: (.+)"))
        print(f"daemon:   {ready.group(0)}")
        yield ready.group(1)


def _show_devices(address: str) -> None:
    print(f"\n$ usbmux list -l --socket {shlex.quote(address)}")
    client = Client(address)
    with client.watch() as events:  # the first event is the phone, as soon as it has shaken hands
        next(iter(events))
    for device in client.devices():
        print(f"phone:    {device.udid}  product {device.product_id:#06x}  {device.connection_speed // 10**6} Mbit/s")


@contextmanager
def _forward(address: str) -> Iterator[int]:
    print(f"\n$ usbmux forward 0:{_ECHO_PORT} --socket {shlex.quote(address)}")
    with _process("usbmux", ["forward", "--socket", address, f"0:{_ECHO_PORT}"]) as process:
        assert process.stdout is not None
        listening = _wait_for_line(process, process.stdout, re.compile(r"listening .*\bport=(\d+).*"))
        print(f"relay:    {listening.group(0)}")
        yield int(listening.group(1))


def _echo(port: int) -> bool:
    """Send and receive at the same time; whether what came back is what was sent."""
    print(f"\nsending {_TOTAL >> 20} MiB through 127.0.0.1:{port} to port {_ECHO_PORT} of the phone, and back:")
    sent = hashlib.sha256()
    with socket.create_connection(("127.0.0.1", port), timeout=_STALL_S) as sock:
        sender = threading.Thread(target=_send, args=(sock, sent), daemon=True)
        started = time.monotonic()
        sender.start()
        received, count = _receive(sock, started)
        sender.join()
    elapsed = time.monotonic() - started
    rate = count / elapsed / 1e6
    print(f"echo:     {count >> 20} MiB each way in {elapsed:.1f} s, {rate:.0f} MB/s each way on this machine")
    print(f"sent:     sha256 {sent.hexdigest()}\nreceived: sha256 {received}")
    return sent.hexdigest() == received and count == _TOTAL


def _send(sock: socket.socket, digest: "hashlib._Hash") -> None:
    for _ in range(_TOTAL // _CHUNK):
        chunk = os.urandom(_CHUNK)
        digest.update(chunk)
        sock.sendall(chunk)
    sock.shutdown(socket.SHUT_WR)


def _receive(sock: socket.socket, started: float) -> tuple[str, int]:
    digest, count, shown = hashlib.sha256(), 0, 0
    while count < _TOTAL and (data := sock.recv(_CHUNK)):
        digest.update(data)
        count += len(data)
        if count - shown >= _TOTAL // 64 or count == _TOTAL:
            shown = count
            _show_progress(count, time.monotonic() - started)
    return digest.hexdigest(), count


def _show_progress(count: int, elapsed: float) -> None:
    if sys.stdout is not None and sys.stdout.isatty():
        done = 40 * count // _TOTAL
        bar = "#" * done + "." * (40 - done)
        end = "\n" if count == _TOTAL else ""
        print(f"\r[{bar}] {count >> 20:3d} MiB {count / elapsed / 1e6:5.0f} MB/s", end=end, flush=True)
    elif count % (_TOTAL // 4) < _TOTAL // 64:
        print(f"  {count >> 20} MiB back after {elapsed:.1f} s", flush=True)


@contextmanager
def _process(module: str, arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()


def _wait_for_line(process: subprocess.Popen[str], stream: IO[str], pattern: re.Pattern[str]) -> re.Match[str]:
    lines: list[str] = []
    for line in stream:
        if match := pattern.match(line):
            return match
        lines.append(line)
    rest = process.stderr.read() if process.stderr is not None else ""
    raise UsbmuxError(f"a process of the demo ended early: {''.join(lines)}{rest}".strip())
