"""Whether phones and this computer still know each other. No phone is asked to trust anybody."""

import asyncio
from collections.abc import Mapping, Sequence

from usbmux.client.aio import AsyncClient
from usbmux.client.device import Device
from usbmux.commands.doctor.server import PATIENCE_S
from usbmux.control.address import Address
from usbmux.errors import RequestTimeoutError, UsbmuxError


def examine_trust(address: Address, devices: Sequence[Device]) -> Mapping[Device, UsbmuxError | None]:
    """Try the pairing of each phone, all at once; None where it holds."""
    return asyncio.run(_examine(AsyncClient(address, timeout_s=PATIENCE_S), devices))


async def _examine(client: AsyncClient, devices: Sequence[Device]) -> Mapping[Device, UsbmuxError | None]:
    errors = await asyncio.gather(*(_error_of(client, device) for device in devices))
    return dict(zip(devices, errors, strict=True))


async def _error_of(client: AsyncClient, device: Device) -> UsbmuxError | None:
    try:
        async with asyncio.timeout(PATIENCE_S), client.lockdown(device) as phone:
            await phone.query_type()  # first, because a phone without lockdown has no record either
            await phone.validate()
    except UsbmuxError as error:
        return error
    except TimeoutError:
        return RequestTimeoutError(f"the phone did not answer within {PATIENCE_S:g} s")
    return None
