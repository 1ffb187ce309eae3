"""What bench.profile makes of what perf, cProfile and samples say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bench.document import replace_figures
from bench.looking import group_of
from bench.profiled import profiled_rows, table
from bench.samples import layer_of

if TYPE_CHECKING:
    from bench.profiled import Profiled

ROOT = Path(__file__).parents[2]


def row(name: str) -> Profiled:
    return next(row for row in profiled_rows() if row.name == name)


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("/x/src/usbmux/mux/session.py", "usbmux.mux"),
        ("/x/usb/src/usbmux/daemon/registry.py", "usbmux.daemon"),
        ("/usr/lib/python3.11/asyncio/base_events.py", "asyncio and selectors"),
        ("/usr/lib/python3.11/plistlib.py", "plistlib"),
        ("/usr/lib/python3.11/enum.py", "other Python"),
        ("~", "functions in C"),
    ],
)
def test_function_belongs_to_the_package_of_its_file(path: str, group: str) -> None:
    assert group_of(path) == group


@pytest.mark.parametrize(
    ("library", "symbol", "layer"),
    [
        ("[kernel.kallsyms]", "[k] do_syscall_64", "kernel"),
        ("libpython3.11.so.1.0", "[.] _PyEval_EvalFrameDefault", "interpreter: evaluation loop"),
        ("python3.11", "[.] PyLong_FromLong", "interpreter: objects, calls, memory"),
        ("_socket.cpython-311-x86_64-linux-gnu.so", "[.] sock_send", "modules in C (socket, select, ...)"),
        ("_ctypes.cpython-311-x86_64-linux-gnu.so", "[.] _call_function_pointer", "ctypes"),
        ("libusb-1.0.so.0", "[.] link_run", "bus and phone, which are emulated"),
        ("libnew.so", "[.] f", "other: libnew.so"),
    ],
)
def test_sample_belongs_to_the_layer_of_its_library(library: str, symbol: str, layer: str) -> None:
    assert layer_of(library, symbol) == layer


def test_request_unit_is_an_operation_and_its_time_is_as_measured() -> None:
    found = {"cpu": 30.0, "count": 500.0}
    assert row("echo-64").cpu_us(found) == 30.0
    assert row("echo-64").times(found, {}, {}) == 500.0


def test_stream_unit_is_a_mebibyte_of_both_directions() -> None:
    before, after = {"in_bytes": 0, "out_bytes": 1 << 20}, {"in_bytes": 3 << 20, "out_bytes": 2 << 20}
    assert row("send-900").cpu_us({"cpu": 1.024}) == pytest.approx(1000.0)
    assert row("send-900").times({}, before, after) == 4.0


def test_table_of_two_columns_has_a_line_for_all_names_and_the_sums() -> None:
    columns = {"one": {"kernel": 1.0, "bus": 3.0}, "two": {"kernel": 2.0}}
    assert list(table("whose", columns, 1))[2:] == [
        "| kernel | 1.0 | 2.0 |",
        "| bus | 3.0 | - |",
        "| together | 4.0 | 2.0 |",
    ]


@pytest.mark.parametrize("command", ["python -m bench.profile --document", "python -m bench.alternatives --document"])
def test_page_has_a_place_for_each_command(command: str, tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    before = (ROOT / "docs/performance.md").read_text(encoding="utf-8")
    page.write_text(before)
    replace_figures(page, command, ["as measured"])
    after = page.read_text()
    assert "\nas measured\n" in after
    assert after.count("<!--") == before.count("<!--")
    assert after.rpartition("## What does not grow")[2] == before.rpartition("## What does not grow")[2]
