"""``usbmux list`` and ``usbmux watch``: which phones are there, and which come and go."""

from typing import NoReturn

from usbmux.client.blocking import Client
from usbmux.client.device import Device, DeviceAttached, DeviceDetached, DeviceEvent, DevicePaired
from usbmux.commands.exits import LONGEST_WAIT_S, ExitCode, complain
from usbmux.commands.table import table

_HEADINGS = ("ID", "UDID", "NAME", "MODEL", "VERSION", "PRODUCT", "SPEED", "LOCATION", "PORT", "TYPE")


def list_devices(address: str | None, *, detailed: bool, as_json: bool) -> int:
    """Print the attached phones: a UDID a line, or a table, or one JSON document."""
    devices = Client(address).devices()
    if as_json:
        print(_json([_parts(device) for device in devices], indent=4), flush=True)
    elif detailed:
        from usbmux.commands.names import names_of  # here, because it asks the phones, with asyncio

        names = names_of(address, devices)
        print(table([_HEADINGS, *(_row(device, names[device]) for device in devices)]), flush=True)
    elif devices:
        print("\n".join(device.udid for device in devices), flush=True)
    if not devices:
        complain("usbmux", "no phone is attached")
    return ExitCode.OK


def watch_devices(address: str | None, *, as_json: bool) -> NoReturn:
    """Print a line for each event until interrupted, over restarts of the daemon."""
    with Client(address).watch(reconnect=True) as events:
        while True:
            if (event := events.wait_event(LONGEST_WAIT_S)) is not None:
                print(_event_json(event) if as_json else f"{_event_name(event)} {event.device.udid}", flush=True)


def _row(device: Device, names: tuple[str, str, str]) -> tuple[str, ...]:
    speed = f"{device.connection_speed / 1e6:g} Mbit/s" if device.connection_speed else "-"
    return (
        str(device.device_id),
        device.udid,
        *names,
        f"{device.product_id:04x}",
        speed,
        f"{device.location_id:#010x}",
        device.port_path or "-",
        device.connection_type,
    )


def _event_json(event: DeviceEvent) -> str:
    return _json({"event": _event_name(event), **_parts(event.device)})


def _parts(device: Device) -> dict[str, object]:
    from dataclasses import asdict  # here, as in _json

    return asdict(device)


def _json(value: object, indent: int | None = None) -> str:
    import json  # here, because what people read is not JSON

    return json.dumps(value, indent=indent)


def _event_name(event: DeviceEvent) -> str:
    match event:
        case DeviceAttached():
            return "attached"
        case DeviceDetached():
            return "detached"
        case DevicePaired():
            return "paired"
