"""The import of click without `inspect`, in an interpreter of its own each time."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from usbmux.commands.click_import import _InspectLater

IMPORT = "import sys; from usbmux.commands.click_import import import_click; import_click(); "


def said(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def test_click_is_imported_and_nobody_else_gets_the_substitute() -> None:
    assert said(IMPORT + "print('click' in sys.modules, 'inspect' in sys.modules)") == "True False"
    assert said(IMPORT + "import inspect; print(inspect.__file__)") == inspect.__file__


def test_click_asks_for_more_it_gets_the_real_thing() -> None:
    assert said(IMPORT + "import click; print(click.core.inspect.isfunction(print))") == "False"
    # click looks for the module of whoever calls this, through a frame.
    assert "0" in said(IMPORT + "import click; print(click.version_option('0', package_name='x')(lambda: 0) and 0)")


def test_inspect_is_there_already_it_stays() -> None:
    program = f"import inspect; {IMPORT}import click; print(click.core.inspect is inspect is sys.modules['inspect'])"
    assert said(program) == "True"


@pytest.mark.parametrize(
    "doc", ["", "a line", "  indented", "\ttab\there ", "one\n    two\n      three\n", "\n  late\n"]
)
def test_help_is_cleaned_as_by_inspect(doc: str) -> None:
    assert _InspectLater.cleandoc(doc) == inspect.cleandoc(doc)
