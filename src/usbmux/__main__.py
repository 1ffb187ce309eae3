import sys

from usbmux.commands.start import usbmux

if __name__ == "__main__":
    code = usbmux()
    # CPython remembers an interrupt that left code in a string, as of a dataclass being made, though it was caught, and
    # `python -m` then ends by the signal without the code. Other code in a string makes it forget.
    exec("")
    sys.exit(code)
