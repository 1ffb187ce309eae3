import sys

from usbmux.commands.usbmux import main

if __name__ == "__main__":
    sys.exit(main())
