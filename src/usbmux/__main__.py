import sys

from usbmux.commands.start import usbmux

if __name__ == "__main__":
    sys.exit(usbmux())
