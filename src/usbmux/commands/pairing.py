"""``usbmux pair``, ``unpair`` and ``validate``."""

import asyncio

from usbmux.client.aio import AsyncClient
from usbmux.client.blocking import Client
from usbmux.commands.exits import ExitCode, complain
from usbmux.errors import PhoneLockedError, TrustPendingError


def pair(address: str | None, udid: str | None, wait_s: float) -> int:
    """Pair with a phone, waiting that long for its owner."""
    # With asyncio, because its waits end with a signal however long they are.
    print(f"paired with {asyncio.run(_pair(AsyncClient(address), udid, wait_s))}", flush=True)
    return ExitCode.OK


async def _pair(client: AsyncClient, udid: str | None, wait_s: float) -> str:
    async with client.lockdown(udid) as phone:
        try:
            await phone.pair()
        except (TrustPendingError, PhoneLockedError) as error:
            if not wait_s:
                raise
            complain("usbmux", str(error))
            await phone.pair(wait_s=wait_s)
        return await phone.udid()


def unpair(address: str | None, udid: str | None) -> int:
    """End the pairing on both sides."""
    with Client(address).lockdown(udid) as phone:
        phone.unpair()
        print(f"unpaired from {phone.udid()}", flush=True)
    return ExitCode.OK


def validate(address: str | None, udid: str | None) -> int:
    """Say that the pairing holds, or raise why not."""
    with Client(address).lockdown(udid) as phone:
        phone.validate()
        print(f"paired with {phone.udid()}", flush=True)
    return ExitCode.OK
