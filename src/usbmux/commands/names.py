"""What phones are called, for ``usbmux list -l``."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

from usbmux.client.aio import AsyncClient
from usbmux.client.aio_route import lockdown_client
from usbmux.client.device import Device
from usbmux.commands.table import printable
from usbmux.errors import UsbmuxError
from usbmux.lockdown.values import Value

_PATIENCE_S: Final = 3.0
"""How long a phone may take to say it; all are asked at the same time."""
_KEYS: Final = ("DeviceName", "ProductType", "ProductVersion")
_LONGEST: Final = 40


def names_of(address: str | None, devices: Sequence[Device]) -> dict[Device, tuple[str, str, str]]:
    """Name, model and version of each phone, as far as it says them; else a dash."""
    return asyncio.run(_names_of(AsyncClient(address), devices))


async def _names_of(client: AsyncClient, devices: Sequence[Device]) -> dict[Device, tuple[str, str, str]]:
    values = await asyncio.gather(*(_values_of(client, device) for device in devices))
    return {device: _names_in(told) for device, told in zip(devices, values, strict=True)}


async def _values_of(client: AsyncClient, device: Device) -> Mapping[str, Value]:
    try:
        async with asyncio.timeout(_PATIENCE_S), lockdown_client(client, device, _PATIENCE_S) as phone:
            return await phone.values()
    except (UsbmuxError, TimeoutError):
        return {}


def _names_in(values: Mapping[str, Value]) -> tuple[str, str, str]:
    name, model, version = (_shown(values.get(key)) for key in _KEYS)
    return name, model, version


def _shown(value: Value | None) -> str:
    return (printable(value[:_LONGEST]) or "-") if isinstance(value, str) else "-"
