"""How programs are told which daemon to use."""

import os

from usbmux.control.address import Address, UnixAddress


def client_environment(address: Address) -> dict[str, str]:
    """The variables that send programs to the daemon at `address`, each in the spelling that its readers understand.

    ``USBMUXD_SOCKET_ADDRESS`` is for libimobiledevice, go-ios, appium-ios-device, frida and `usbmux` itself;
    ``PYMOBILEDEVICE3_USBMUX`` for pymobiledevice3, which looks at it first and knows Unix sockets by their path alone.
    """
    if isinstance(address, UnixAddress):
        path = os.path.abspath(address.path)
        return {"USBMUXD_SOCKET_ADDRESS": f"UNIX://{path}", "PYMOBILEDEVICE3_USBMUX": path}
    return {"USBMUXD_SOCKET_ADDRESS": str(address), "PYMOBILEDEVICE3_USBMUX": str(address)}
