"""``usbmux pair``, ``unpair`` and ``validate``."""

import asyncio
import json

from usbmux.client.aio import AsyncClient
from usbmux.client.blocking import Client
from usbmux.commands.exits import ExitCode, complain
from usbmux.errors import PhoneLockedError, TrustPendingError


def pair(address: str | None, udid: str | None, wait_s: float, *, as_json: bool) -> int:
    """Pair with a phone, waiting that long for its owner."""
    # With asyncio, because its waits end with a signal however long they are.
    _say(asyncio.run(_pair(AsyncClient(address), udid, wait_s)), is_paired=True, as_json=as_json)
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


def unpair(address: str | None, udid: str | None, *, as_json: bool) -> int:
    """End the pairing on both sides."""
    with Client(address).lockdown(udid) as phone:
        phone.unpair()
        _say(phone.udid(), is_paired=False, as_json=as_json)
    return ExitCode.OK


def validate(address: str | None, udid: str | None, *, as_json: bool) -> int:
    """Say that the pairing holds, or raise why not."""
    with Client(address).lockdown(udid) as phone:
        phone.validate()
        _say(phone.udid(), is_paired=True, as_json=as_json)
    return ExitCode.OK


def _say(udid: str, *, is_paired: bool, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"udid": udid, "paired": is_paired}), flush=True)
    else:
        print(f"{'paired with' if is_paired else 'unpaired from'} {udid}", flush=True)
