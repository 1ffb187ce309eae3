from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.debian_usbmuxd import require_debian_usbmuxd

ROOT = Path(__file__).parents[2]


@pytest.mark.interop
@pytest.mark.parametrize("row", ["duplex-40-64K", "list-kept", "plug"])
@pytest.mark.usefixtures("fake_library")
def test_bench_of_a_row_completes_and_prints_its_ratio(row: str, tmp_path: Path) -> None:
    require_debian_usbmuxd()
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "bench", "--row", row, "--rounds", "1", "--seconds", "0.1", "--json", str(report)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=100)
    assert done.returncode == 0, done.stderr
    assert row in done.stdout
    assert all(line["ratio"]["median"] > 0 for line in json.loads(report.read_text())["table"] if line["C"])


@pytest.mark.interop
@pytest.mark.usefixtures("fake_library")
def test_profile_of_a_row_completes_and_tells_both_daemons_layers() -> None:
    require_debian_usbmuxd()
    if shutil.which("perf") is None:
        pytest.skip("perf is missing; remedy: apt-get install linux-perf")
    command = [sys.executable, "-m", "bench.profile", "--row", "echo-64", "--seconds", "0.3", "--functions", "5"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("| kernel |") == 2
    assert "| usbmux.mux |" in done.stdout
    assert "Most called, echo-64, operation:" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("module", ["bench.profile", "bench.alternatives"])
def test_other_command_with_an_unknown_row_measures_nothing(module: str) -> None:
    command = [sys.executable, "-m", module, "--row", "none"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=100)
    assert (done.returncode, done.stderr) == (1, f"{module}: no such row\n")


@pytest.mark.slow
def test_bench_with_an_unknown_row_measures_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench", "--row", "none", "--json", str(tmp_path / "report.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=100)
    assert (done.returncode, done.stderr) == (1, "bench: no such row; --list prints all\n")


def test_bench_list_names_rows() -> None:
    command = [sys.executable, "-m", "bench", "--list"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=100)
    assert {"receive-400-64K", "echo-64-50x", "forwarders"} <= set(done.stdout.splitlines())
