import sys


def main() -> int:
    """Run the command ``usbmux`` and return its exit code."""
    try:
        from usbmux.commands.usbmux import main as run
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        from usbmux.commands.exits import ExitCode, complain

        complain("usbmux", "this command needs click: pip install 'usbmux[cli]'")
        return ExitCode.FAILURE
    return run()


if __name__ == "__main__":
    sys.exit(main())
