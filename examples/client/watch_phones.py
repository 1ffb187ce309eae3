"""Prints phones that come and go, until Ctrl-C; a restart of the daemon is no news."""

from usbmux import Client, DeviceAttached, DeviceDetached, DevicePaired

with Client().watch(reconnect=True) as watch:
    for event in watch:
        match event:
            case DeviceAttached(device):
                print("came:", device.udid, flush=True)
            case DeviceDetached(device):
                print("went:", device.udid, flush=True)
            case DevicePaired(device):
                print("paired:", device.udid, flush=True)
