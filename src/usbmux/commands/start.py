"""Begins the programs.

Nothing of what a program imports at its beginning is garbage, and to look for some takes a tenth of the time until
then.
"""

import gc


def usbmux() -> int:
    """Run `usbmux`; returns the exit status."""
    gc.disable()
    from usbmux.commands.click_import import import_click

    try:
        import_click()
        from usbmux.commands.exits import run_program
        from usbmux.commands.usbmux import main
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        from usbmux.commands.exits import ExitCode, complain

        complain("usbmux", "this command needs click: pip install 'usbmux[cli]'")
        return ExitCode.FAILURE
    _end_of_imports()
    return run_program("usbmux", main)


def usbmuxd() -> int:
    """Run `usbmuxd`; returns the exit status."""
    gc.disable()
    from usbmux.commands.exits import run_program
    from usbmux.commands.usbmuxd import main

    _end_of_imports()
    return run_program("usbmuxd", main)


def tcprelay() -> int:
    """Run `tcprelay`; returns the exit status."""
    gc.disable()
    from usbmux.commands.exits import run_program
    from usbmux.commands.tcprelay import main

    _end_of_imports()
    return run_program("tcprelay", main)


def iproxy() -> int:
    """Run `iproxy`; returns the exit status."""
    gc.disable()
    from usbmux.commands.exits import run_program
    from usbmux.commands.iproxy import main

    _end_of_imports()
    return run_program("iproxy", main)


def inetcat() -> int:
    """Run `inetcat`; returns the exit status."""
    gc.disable()
    from usbmux.commands.exits import run_program
    from usbmux.commands.inetcat import main

    _end_of_imports()
    return run_program("inetcat", main)


def _end_of_imports() -> None:
    gc.freeze()
    gc.enable()
