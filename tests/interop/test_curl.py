from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.interop.programs import debian_program, version
from tests.support.process import ChildProcess
from tests.support.streams import MEBIBYTE, digest, some_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop.compatibility import CompatibilityTable
    from tests.interop.conftest import StartsDaemon, StartsForwarder

pytestmark = pytest.mark.interop


def test_curl_through_usbmux_forward_gets_the_file(
    daemon_with: StartsDaemon, forwarded_by: StartsForwarder, compatibility: CompatibilityTable, tmp_path: Path
) -> None:
    curl = debian_program("curl")
    content = some_bytes(16 * MEBIBYTE)
    (served := tmp_path / "served").mkdir()
    (served / "file").write_bytes(content)
    serve = [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(served), "0"]
    with ChildProcess(serve) as server:
        server_port = server.wait_for_line(r"Serving HTTP on \S+ port (\d+)")[1]
        daemon = daemon_with({80: f"127.0.0.1:{server_port}"})
        port = forwarded_by(daemon, "usbmux", "forward", "0:80")
        command = [curl, "--silent", "--show-error", "--fail", "--noproxy", "*", f"http://127.0.0.1:{port}/file"]
        fetched = subprocess.check_output(command, timeout=60)
    assert hashlib.sha256(fetched).hexdigest() == digest(content)
    compatibility.add(
        "curl",
        version(curl, "--version"),
        "curl through usbmux forward 0:80",
        "16 MiB from an HTTP server, equal digests",
    )
