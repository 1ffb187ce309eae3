from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.attached import wait_attached
from usbmux.commands.usbmux import main
from usbmux.testing import RunningDaemon, SimulatedPhone, echo
from usbmux.testing.conformance import CASES, Need

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ECHO = 7
UDID = "00008030-001A2B3C4D5E6F01"
PATIENCE = ("--timeout", "30")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with RunningDaemon([SimulatedPhone(UDID, ports={ECHO: echo})]) as daemon:
        wait_attached(daemon.address, 1)
        yield str(daemon.address)


def test_server_conforms_is_a_line_each_and_exit_0(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", address, "--only", "length.*", *PATIENCE]) == 0
    *lines, summary = capsys.readouterr().out.splitlines()
    names = [case.name for case in CASES if case.name.startswith("length.")]
    assert [line.split()[:2] for line in lines] == [["conforms", name] for name in names]
    assert summary == f"{len(names)} conforms, 0 deviates, 0 no answer, 0 skipped"


def test_server_without_echo_skips_visibly_and_exit_0(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", address, "--only", "stream.plist", *PATIENCE]) == 0
    line, summary = capsys.readouterr().out.splitlines()
    assert line.split(maxsplit=2) == ["skipped", "stream.plist", f"needs {Need.ECHO.value}"]
    assert summary == "0 conforms, 0 deviates, 0 no answer, 1 skipped"


@pytest.mark.parametrize("more", [[], ["--udid", UDID[:9]]])
def test_port_given_streams_are_tried(address: str, more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", address, "--only", "stream.plist", "--port", str(ECHO), *more, *PATIENCE]) == 0
    assert capsys.readouterr().out.startswith("conforms")


def test_port_closed_deviates_and_exit_1(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", address, "--only", "stream.request", "--port", "8", *PATIENCE]) == 1
    line, summary = capsys.readouterr().out.splitlines()
    assert line.split(maxsplit=2)[:2] == ["deviates", "stream.request"]
    assert "Result 3" in line
    assert "; expected Result 0, then " in line
    assert summary == "0 conforms, 1 deviates, 0 no answer, 0 skipped"


def test_read_only_skips_what_saves(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", address, "--only", "save-*", "--read-only", *PATIENCE]) == 0
    *lines, _summary = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} == {"skipped"}


def test_json_is_an_object_a_line(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", address, "--only", "tag.0", "--json", *PATIENCE]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {
        "case": "tag.0",
        "verdict": "conforms",
        "came": "DeviceList",
        "expected": ["DeviceList"],
        "stimulus": "ListDevices under tag 0",
        "source": "appium begins at 0 (C5)",
    }


def test_nobody_serves_exit_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", str(tmp_path / "missing")]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("usbmux: no usbmux daemon at ")


def test_phone_not_there_exit_3(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", address, "--udid", "F" * 24, *PATIENCE]) == 3
    assert "no phone with the UDID" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"), [(["--only", "nonsense"], "no case is named"), (["--port", "0"], "0")]
)
def test_line_wrong_exit_2(
    address: str, arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["conform", address, *arguments]) == 2
    assert complaint in capsys.readouterr().err


def test_timeout_is_longer_than_sockets_wait_answers_come(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", address, "--only", "listen.*", "--timeout", "1e10"]) == 0
    assert "0 no answer" in capsys.readouterr().out


def test_address_wrong_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["conform", "nonsense"]) == 2
    assert "nonsense" in capsys.readouterr().err
