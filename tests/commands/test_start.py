from __future__ import annotations

import gc
import importlib
from importlib.metadata import entry_points

import pytest

from usbmux.commands import start


@pytest.mark.parametrize("name", ["usbmux", "usbmuxd", "tcprelay"])
def test_program_runs_with_garbage_collected_and_its_imports_set_aside(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def main() -> int:
        seen.append((gc.isenabled(), gc.get_freeze_count() > 1000))
        return 5

    monkeypatch.setattr(importlib.import_module(f"usbmux.commands.{name}"), "main", main)
    try:
        assert getattr(start, name)() == 5
    finally:
        gc.unfreeze()
    assert seen == [(True, True)]


def test_installed_programs_begin_here() -> None:
    scripts = {each.name: each.value for each in entry_points(group="console_scripts") if "usbmux" in each.value}
    assert scripts == {name: f"usbmux.commands.start:{name}" for name in ("usbmux", "usbmuxd", "tcprelay")}
