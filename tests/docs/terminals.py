"""Runs the command lines of a page as a reader would: in terminals, beside a daemon with a virtual iPhone."""

from __future__ import annotations

import getpass
import os
import re
import shlex
import signal
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self, assert_never

from tests.docs.page import Command, End, ports, shown_as
from tests.interop.programs import PACKAGES, debian_program
from tests.interop.sshd import start_sshd
from tests.support.daemon import clean_environment, our_command
from tests.support.process import ChildProcess
from tests.support.streams import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop.sshd import SshServer

WITHIN_S = 60
OURS = ("usbmux", "usbmuxd", "tcprelay")
SSH = ("ssh", "scp")
DAEMON_PORT = "27015"
HTTP_PORTS = ("80", "8100")
SOCKETS = ("/var/run/usbmuxd", "/run/usbmuxd")
"""Where pages have the daemon; the tests have it elsewhere."""
INTERRUPTED = (0, 130)
TERMINATED = (0, -signal.SIGTERM, 128 + signal.SIGTERM, 255)
"""How what is left running may end; 255 is ssh's way."""


def programs_of_others(text: str) -> list[str]:
    """The programs that nobody here wrote and that a command line names."""
    return sorted(name for name in PACKAGES if re.search(rf"(?<![\w/.-]){name}(?![\w/.-])", text))


class Terminals:
    """A private place for the commands of one page; what they leave running ends with the context.

    Args:
        folder: An empty one.
        page: The text of the page.
        commands: Those that will be run.
    """

    def __init__(self, folder: Path, page: str, commands: list[Command]) -> None:
        self._folder = folder
        self._said = "\n".join(command.text for command in commands)
        self._stack = ExitStack()
        self._state = folder / ".state"
        self._places = {"/tmp/": f"{folder}/"}
        self._replaced = {str(port): str(free_port()) for port in ports(page)} | {
            path: str(folder / "usbmuxd") for path in SOCKETS
        }

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for name in programs_of_others(self._said):
                debian_program(name)
            server = None
            if any(name in programs_of_others(self._said) for name in SSH):
                (keys := self._folder / ".keys").mkdir()
                server = start_sshd(keys)
                user = getpass.getuser()
                self._places |= {"root@lab": f"-p {server.port} {user}@127.0.0.1", "root@": f"{user}@"}
                stack.callback(server.process.stop)
            self._make_programs(server)
            self._start_daemon(stack, server)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def run(self, command: Command) -> None:
        """Run a command to its end, or until it has printed what the page shows.

        Raises:
            AssertionError: It failed, or did not print what the page shows.
        """
        match command.end:
            case End.ITSELF:
                self._run_to_its_end(command)
            case End.INTERRUPTED:
                process = self._start(command)
                os.killpg(process.pid, signal.SIGINT)
                _judge(process, process.wait(), INTERRUPTED)
            case End.PAGE:
                process = self._start(command)
                self._stack.callback(lambda: _judge(process, process.stop(), TERMINATED))
            case _:
                assert_never(command.end)

    def _run_to_its_end(self, command: Command) -> None:
        line = self._here(command.text)
        script = f". {self._state}; cd {self._folder}; {line}\nstatus=$?; export -p >{self._state}; exit $status"
        with (self._folder / ".printed").open("w+") as printed:  # as text, for terminals show any end of a line alike
            process = subprocess.Popen(
                ["bash", "-o", "pipefail", "-c", script],
                stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            try:
                status = process.wait(WITHIN_S)
            finally:
                _kill(process.pid)
            printed.seek(0)
            came = printed.read()
        assert status == 0, f"{command.text!r} ended with {status} and printed:\n{came}"
        if command.printed is not None:
            expected = self._here(command.printed)
            assert shown_as(expected).fullmatch(came), f"{command.text!r} printed\n{came}\nand not\n{expected}"

    def _start(self, command: Command) -> ChildProcess:
        """Start what does not end by itself, in a terminal where nobody types."""
        line = self._here(command.text)
        silence = "exec 0< <(exec sleep infinity 2>/dev/null)"
        process = ChildProcess(["bash", "-c", f". {self._state}; cd {self._folder}; {silence}; exec {line}"])
        self._stack.callback(process.stop)
        for shown in self._here(command.printed or "...\n").splitlines(keepends=True):
            process.wait_for_line("." if shown == "...\n" else f"^(?:{shown_as(shown).pattern})$")
        return process

    def _here(self, text: str) -> str:
        """What stands on the page, with the paths and ports of this place."""
        names = "|".join(re.escape(name) for name in sorted(self._replaced, key=len, reverse=True))
        there = text
        for shown, meant in self._places.items():
            there = there.replace(shown, meant)
        return re.sub(rf"(?<!\w)(?:{names})(?!\w)", lambda found: self._replaced[found[0]], there)

    def _make_programs(self, server: SshServer | None) -> None:
        (programs := self._folder / ".bin").mkdir()
        calls = {name: our_command(name) for name in OURS} | {"sudo": "env", "python": sys.executable}
        if server is not None:
            for name in SSH:
                calls[name] = shlex.join([debian_program(name), *server.client_options])
        for name, call in calls.items():
            (program := programs / name).write_text(f'#!/bin/sh\nexec {call} "$@"\n')
            program.chmod(0o755)

    def _start_daemon(self, stack: ExitStack, server: SshServer | None) -> None:
        phones = self._folder / ".phones.toml"
        lines = ["[[iphone]]", "[iphone.ports]", '7 = "echo"', *(f'{self._here(port)} = "http"' for port in HTTP_PORTS)]
        if server is not None:
            lines.append(f'22 = "127.0.0.1:{server.port}"')
        phones.write_text("\n".join(lines) + "\n")
        socket = self._folder / "usbmuxd"
        records = str(self._folder / ".records")
        listen = ["-S", str(socket), "--metrics", f"{socket}.metrics"]
        if DAEMON_PORT in self._replaced:
            listen += ["-S", f"127.0.0.1:{self._replaced[DAEMON_PORT]}"]
        arguments = [our_command("usbmuxd"), "-f", *listen, "-C", records, "--simulate", str(phones)]
        daemon = ChildProcess(arguments, environment=clean_environment())
        stack.callback(daemon.stop)
        daemon.wait_for_line("usbmuxd ready")
        variables = clean_environment(
            HOME=str(self._folder),
            TMPDIR=str(self._folder),
            PATH=f"{self._folder / '.bin'}:{os.environ['PATH']}",
            USBMUXD_SOCKET_ADDRESS=str(socket),
            LC_ALL="C.UTF-8",
        )
        exports = [f"export {name}={shlex.quote(value)}\n" for name, value in variables.items() if name.isidentifier()]
        self._state.write_text("".join(exports))


def _kill(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:  # it has left nothing
        return


def _judge(process: ChildProcess, status: int, allowed: tuple[int, ...]) -> None:
    assert status in allowed, f"{process.arguments[-1]} ended with {status} and printed:\n{process.output}"
    assert "Traceback" not in process.output, process.output
