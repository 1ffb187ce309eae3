"""The daemon process with ``--metrics``, and with the key of its configuration."""

from __future__ import annotations

import socket
import stat
import subprocess
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.usbmuxd import COMMAND, UDIDS, start_usbmuxd
from tests.support.daemon import clean_environment

if TYPE_CHECKING:
    from pathlib import Path


def scrape(path: Path) -> str:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(str(path))
        sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b""
        while data := sock.recv(65536):
            answer += data
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    return body.decode()


@pytest.mark.parametrize("is_in_file", [False, True], ids=["flag", "file"])
def test_metrics_are_wanted_they_are_there_and_go_with_the_daemon(tmp_path: Path, is_in_file: bool) -> None:
    path = tmp_path / "metrics"
    options = ["--metrics", str(path)]
    if is_in_file:
        (tmp_path / "usbmuxd.toml").write_text(f'metrics = "{path}"\n')
        options = ["--config", str(tmp_path / "usbmuxd.toml")]
    with start_usbmuxd(tmp_path, *options) as usbmuxd:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        client = usbmuxd.client()
        with client.connect(UDIDS[1], 7) as stream:
            stream.sendall(b"ping")
            assert stream.recv(4, socket.MSG_WAITALL) == b"ping"
            families = {family.name: family for family in text_string_to_metric_families(scrape(path))}
        (sample,) = families["usbmux_streams"].samples
        assert (sample.labels, sample.value) == ({"udid": UDIDS[1]}, 1)
        moved = {sample.labels["direction"]: sample.value for sample in families["usbmux_stream_bytes"].samples[:2]}
        assert moved.keys() == {"to_phone", "from_phone"}
        assert usbmuxd.process.stop() == 0
    assert not path.exists()


def test_nothing_is_said_there_are_none(tmp_path: Path) -> None:
    with start_usbmuxd(tmp_path):
        found = {entry.name for entry in tmp_path.iterdir() if stat.S_ISSOCK(entry.stat().st_mode)}
    assert found == {"usbmuxd", "usbmuxd.admin"}


@pytest.mark.parametrize("address", ["0.0.0.0:9100", "[::]:9100", "example.org:80", "nonsense"])
def test_address_is_not_for_metrics_it_is_refused_before_the_start(tmp_path: Path, address: str) -> None:
    (tmp_path / "usbmuxd.toml").write_text(f'metrics = "{address}"\n')
    for options in (["--metrics", address], ["--config", str(tmp_path / "usbmuxd.toml")]):
        outcome = subprocess.run(
            [*COMMAND, "--check-config", *options],
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert outcome.returncode == 2
        assert address in outcome.stderr
        assert ("Unix socket or loopback only" in outcome.stderr) is (address != "nonsense")
