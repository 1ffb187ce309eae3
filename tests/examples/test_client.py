"""The examples of the client library do what they say, beside a daemon with virtual phones."""

from __future__ import annotations

import asyncio
import getpass
import shutil
import ssl
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.interop.programs import python_with_ssh
from tests.support.daemon import clean_environment
from tests.support.process import ChildProcess
from usbmux import Client
from usbmux.testing import RunningDaemon, SimulatedPhone, echo, http, tcp_endpoint
from usbmux.testing.iphone import Identity, VirtualIPhone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.interop.sshd import SshServer

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples/client"
SERVER = "phone.example"
WITHIN_S = 60


def run(daemon: RunningDaemon, script: str, *arguments: str, python: str = sys.executable, **variables: str) -> str:
    """What an example prints."""
    variables |= daemon.environment | {"PYTHONPATH": str(ROOT / "src")}
    outcome = subprocess.run(
        [python, "-W", "error", EXAMPLES / script, *arguments],
        env=clean_environment(**variables), capture_output=True, text=True, timeout=WITHIN_S, check=False,
    )  # fmt: skip
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stderr == ""
    return outcome.stdout


@pytest.fixture
def phone() -> SimulatedPhone:
    return SimulatedPhone(ports={7: echo, 80: http, 8080: http})


@pytest.fixture
def daemon(phone: SimulatedPhone) -> Iterator[RunningDaemon]:
    with RunningDaemon([phone]) as running:
        yield running
        assert running.violations == []


def test_examples_are_all_run_here() -> None:
    here = Path(__file__).read_text(encoding="utf-8")
    assert [file.name for file in EXAMPLES.iterdir() if f'"{file.name}"' not in here and file.suffix == ".py"] == []


def test_list_phones_prints_the_phone_and_whether_it_was_paired(daemon: RunningDaemon, phone: SimulatedPhone) -> None:
    assert f"{phone.udid} never paired\n" in run(daemon, "list_phones.py")


def test_watch_phones_prints_who_comes_and_goes(daemon: RunningDaemon, phone: SimulatedPhone) -> None:
    variables = daemon.environment | {"PYTHONPATH": str(ROOT / "src")}
    script = [sys.executable, str(EXAMPLES / "watch_phones.py")]
    with ChildProcess(script, environment=clean_environment(**variables)) as process:
        process.wait_for_line(f"came: {phone.udid}")
        assert "watched by" in run(daemon, "list_phones.py")
        daemon.unplug(phone)
        process.wait_for_line(f"went: {phone.udid}")
        daemon.plug(phone)
        process.wait_for_line(f"came: {phone.udid}")


def test_phone_values_pairs_once_and_prints_what_the_phone_tells() -> None:
    phone = VirtualIPhone(Identity(device_name="Ada"))
    with RunningDaemon([phone]) as daemon:
        assert run(daemon, "phone_values.py") == "Ada\n87 %\n"
        record = Client(daemon.address).read_pair_record(phone.udid)
        assert run(daemon, "phone_values.py") == "Ada\n87 %\n"
        assert Client(daemon.address).read_pair_record(phone.udid) == record


def test_echo_asyncio_prints_what_came_back(daemon: RunningDaemon) -> None:
    assert run(daemon, "echo_asyncio.py") == "hello\n"


@pytest.mark.parametrize("port", [(), ("8080",)])
def test_http_get_prints_the_answer(daemon: RunningDaemon, port: tuple[str, ...]) -> None:
    assert run(daemon, "http_get.py", "/status", *port) == "hello from the phone: GET /status HTTP/1.1\n"


class TlsServer:
    """Says inside TLS what it is told, on a port of loopback, in the test's own loop."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.authorities = folder / "authorities.pem"
        authority.cert_pem.write_to_path(self.authorities)
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(SERVER).configure_cert(self._context)

    async def start(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("script", ["tls.py", "tls_asyncio.py"])
async def test_tls_trusts_whom_it_was_told_and_nobody_else(script: str, tmp_path: Path) -> None:
    trusted = TlsServer(tmp_path)
    async with await trusted.start() as server:
        port = server.sockets[0].getsockname()[1]
        phone = SimulatedPhone(ports={443: tcp_endpoint("127.0.0.1", port)})
        with RunningDaemon([phone]) as daemon:
            arguments = (script, "443", SERVER, str(trusted.authorities))
            assert await asyncio.to_thread(run, daemon, *arguments) == "TLSv1.3\nhello\n"
            trustme.CA().cert_pem.write_to_path(trusted.authorities)
            with pytest.raises(AssertionError, match="CERTIFICATE_VERIFY_FAILED"):
                await asyncio.to_thread(run, daemon, *arguments)


@pytest.fixture
def home(tmp_path: Path, ssh_server: SshServer) -> Path:
    """A home directory whose user may enter the SSH server, and knows it."""
    (keys := tmp_path / ".ssh").mkdir(mode=0o700)
    shutil.copy(ssh_server.folder / "user_key", keys / "id_ed25519")
    (keys / "known_hosts").write_text(f"iphone {(ssh_server.folder / 'host_key.pub').read_text()}")
    return tmp_path


@pytest.mark.interop
@pytest.mark.parametrize("script", ["ssh_asyncssh.py", "ssh_paramiko.py"])
def test_ssh_runs_a_command_on_the_phone_that_it_knows(script: str, ssh_server: SshServer, home: Path) -> None:
    python = python_with_ssh()
    phone = SimulatedPhone(ports={22: tcp_endpoint("127.0.0.1", ssh_server.port)})
    arguments = (script, getpass.getuser(), "echo $((6 * 7))")
    with RunningDaemon([phone]) as daemon:
        assert run(daemon, *arguments, python=python, HOME=str(home)) == "42\n"
        (home / ".ssh/known_hosts").write_text(f"iphone {(ssh_server.folder / 'user_key.pub').read_text()}")
        with pytest.raises(AssertionError, match="Host key"):
            run(daemon, *arguments, python=python, HOME=str(home))
