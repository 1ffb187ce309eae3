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
        from usbmux.commands.usbmux import main
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        from usbmux.commands.exits import ExitCode, complain

        complain("usbmux", "this command needs click: pip install 'usbmux[cli]'")
        return ExitCode.FAILURE
    _end_of_imports()
    return main()


def usbmuxd() -> int:
    """Run `usbmuxd`; returns the exit status."""
    gc.disable()
    from usbmux.commands.usbmuxd import main

    _end_of_imports()
    return main()


def tcprelay() -> int:
    """Run `tcprelay`; returns the exit status."""
    gc.disable()
    from usbmux.commands.tcprelay import main

    _end_of_imports()
    return main()


def _end_of_imports() -> None:
    gc.freeze()
    gc.enable()
