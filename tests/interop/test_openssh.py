from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.interop.programs import debian_program, version
from tests.support.daemon import our_command
from tests.support.streams import MEBIBYTE, digest, some_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop.compatibility import CompatibilityTable
    from tests.interop.conftest import StartsDaemon, StartsForwarder
    from tests.interop.sshd import SshServer

pytestmark = pytest.mark.interop


def test_ssh_through_tcprelay_runs_a_command(
    daemon_with: StartsDaemon,
    forwarded_by: StartsForwarder,
    ssh_server: SshServer,
    compatibility: CompatibilityTable,
) -> None:
    ssh = debian_program("ssh")
    daemon = daemon_with({22: f"127.0.0.1:{ssh_server.port}"})
    port = forwarded_by(daemon, "tcprelay", "-t", "22:0")
    sent = some_bytes(MEBIBYTE)
    command = [ssh, *ssh_server.client_options, "-p", str(port), "127.0.0.1", "sha256sum"]
    printed = subprocess.run(command, input=sent, capture_output=True, check=False, timeout=60)
    assert printed.stdout.split()[:1] == [digest(sent).encode()], printed.stderr
    compatibility.add(
        "OpenSSH",
        version(ssh, "-V"),
        "ssh through tcprelay -t 22:0",
        "a command reads its input to the end and answers",
    )


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("mux_version", [1, 2])
def test_scp_of_64_mebibytes_there_and_back_through_tcprelay_keeps_the_digest(
    daemon_with: StartsDaemon,
    forwarded_by: StartsForwarder,
    ssh_server: SshServer,
    compatibility: CompatibilityTable,
    tmp_path: Path,
    mux_version: int,
) -> None:
    scp = debian_program("scp")
    daemon = daemon_with({22: f"127.0.0.1:{ssh_server.port}"}, version=mux_version)
    port = forwarded_by(daemon, "tcprelay", "-t", "22:0")
    original, there, back = (tmp_path / name for name in ("original", "there", "back"))
    original.write_bytes(some_bytes(64 * MEBIBYTE))
    for source, target in ((original, f"127.0.0.1:{there}"), (f"127.0.0.1:{there}", back)):
        command = [scp, "-q", *ssh_server.client_options, "-P", str(port), str(source), str(target)]
        subprocess.run(command, check=True, timeout=120)
    digests = {digest(file.read_bytes()) for file in (original, there, back)}
    assert digests == {digest(some_bytes(64 * MEBIBYTE))}
    compatibility.add(
        "OpenSSH",
        version(debian_program("ssh"), "-V"),
        "scp through tcprelay -t 22:0",
        "64 MiB there and back, equal digests",
    )


def test_ssh_with_usbmux_connect_as_proxy_command_runs_a_command(
    daemon_with: StartsDaemon, ssh_server: SshServer, compatibility: CompatibilityTable
) -> None:
    ssh = debian_program("ssh")
    daemon = daemon_with({22: f"127.0.0.1:{ssh_server.port}"})
    sent = some_bytes(MEBIBYTE)
    proxy = f"ProxyCommand={our_command('usbmux')} connect %p"
    command = [ssh, *ssh_server.client_options, "-o", proxy, "-p", "22", "phone", "sha256sum"]
    printed = subprocess.run(
        command, input=sent, capture_output=True, env=daemon.environment(), check=False, timeout=60
    )
    assert printed.stdout.split()[:1] == [digest(sent).encode()], printed.stderr
    compatibility.add(
        "OpenSSH",
        version(ssh, "-V"),
        "ssh -o ProxyCommand='usbmux connect %p' phone",
        "a command reads its input to the end and answers",
    )
