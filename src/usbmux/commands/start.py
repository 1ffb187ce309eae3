"""Begins the programs.

Nothing of what a program imports at its beginning is garbage, and to look for some takes a tenth of the time until
then.
"""

import gc
from collections.abc import Callable


def usbmux() -> int:
    """Run `usbmux`; returns the exit status."""
    gc.disable()
    from usbmux.commands.click_import import import_click

    try:
        import_click()
        from usbmux.commands.usbmux import main
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        from usbmux.commands.exits import ExitCode, complain

        complain("usbmux", "this command needs click: pip install 'usbmux[cli]'")
        return ExitCode.FAILURE
    return _run("usbmux", main)


def usbmuxd() -> int:
    """Run `usbmuxd`; returns the exit status."""
    gc.disable()
    from usbmux.commands.usbmuxd import main

    return _run("usbmuxd", main)


def tcprelay() -> int:
    """Run `tcprelay`; returns the exit status."""
    gc.disable()
    from usbmux.commands.tcprelay import main

    return _run("tcprelay", main)


def iproxy() -> int:
    """Run `iproxy`; returns the exit status."""
    gc.disable()
    from usbmux.commands.iproxy import main

    return _run("iproxy", main)


def inetcat() -> int:
    """Run `inetcat`; returns the exit status."""
    gc.disable()
    from usbmux.commands.inetcat import main

    return _run("inetcat", main)


def _run(program: str, main: Callable[[], int]) -> int:
    """What has been imported by now stays."""
    from usbmux.commands.exits import run_program

    gc.freeze()
    gc.enable()
    return run_program(program, main)
