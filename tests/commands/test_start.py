from __future__ import annotations

import gc
import importlib
import io
import sys
from importlib.metadata import entry_points

import pytest

from usbmux.commands import start


@pytest.mark.parametrize("name", ["usbmux", "usbmuxd", "tcprelay", "iproxy", "inetcat"])
def test_program_runs_with_garbage_collected_its_imports_set_aside_and_a_stdout_that_takes_all(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def main() -> int:
        seen.append((gc.isenabled(), gc.get_freeze_count() > 1000))
        print("\u2019", flush=True)
        return 5

    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "ascii", newline="\n"))
    monkeypatch.setattr(importlib.import_module(f"usbmux.commands.{name}"), "main", main)
    try:
        assert getattr(start, name)() == 5
    finally:
        gc.unfreeze()
    assert seen == [(True, True)]
    assert written.getvalue() == b"\\u2019\n"


def test_installed_programs_begin_here() -> None:
    scripts = {each.name: each.value for each in entry_points(group="console_scripts") if "usbmux" in each.value}
    assert scripts == {name: f"usbmux.commands.start:{name}" for name in ("usbmux", "usbmuxd", "tcprelay")}
