"""A real OpenSSH server on loopback, with keys that are thrown away."""

from __future__ import annotations

import getpass
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.interop.programs import debian_program
from tests.support.process import ChildProcess
from tests.support.streams import free_port

HOST = "phone"
CONFIGURATION = """\
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile {folder}/sshd.pid
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UseDNS no
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True, slots=True)
class SshServer:
    process: ChildProcess
    port: int
    folder: Path

    @property
    def client_options(self) -> list[str]:
        """What `ssh` and `scp` need to trust this server and be trusted, whatever port it is reached by."""
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": "20",
            "HostKeyAlias": HOST,
            "IdentitiesOnly": "yes",
            "IdentityFile": f"{self.folder}/user_key",
            "LogLevel": "ERROR",
            "StrictHostKeyChecking": "yes",
            "User": getpass.getuser(),
            "UserKnownHostsFile": f"{self.folder}/known_hosts",
        }
        return ["-F", "none", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]


def start_sshd(folder: Path) -> SshServer:
    """Starts a server; returns when it listens."""
    sshd, keygen = debian_program("sshd"), debian_program("ssh-keygen")
    for name in ("host_key", "user_key"):
        command = [keygen, "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", f"{folder}/{name}"]
        subprocess.run(command, check=True, timeout=60)
    (folder / "known_hosts").write_text(f"{HOST} {(folder / 'host_key.pub').read_text()}")
    port = free_port()
    (folder / "sshd_config").write_text(CONFIGURATION.format(port=port, folder=folder))
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # Debian's sshd has its empty folder here
    process = ChildProcess([sshd, "-D", "-e", "-f", f"{folder}/sshd_config"])
    try:
        process.wait_for_line("Server listening on")
    except BaseException:
        process.stop()
        raise
    return SshServer(process, port, folder)
