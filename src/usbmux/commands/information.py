"""``usbmux info``: what a phone tells of itself."""

import base64
import datetime
import json

from usbmux.client.blocking import Client
from usbmux.commands.exits import ExitCode, complain
from usbmux.commands.table import printable
from usbmux.errors import LockdownError, NotPairedError, PairRecordNotFoundError
from usbmux.lockdown.blocking import LockdownClient
from usbmux.lockdown.values import Value


def show_information(
    address: str | None, udid: str | None, key: str | None, domain: str | None, *, as_json: bool
) -> int:
    """Print one value or all, a line each, or one JSON document."""
    with Client(address).lockdown(udid) as phone:
        is_paired = _start_session(phone)
        value = _asked(phone, key, domain, is_paired=is_paired)
    if as_json:
        print(json.dumps(value, indent=4, sort_keys=True, default=_encoded), flush=True)
    elif isinstance(value, dict):
        for name in sorted(value):
            print(f"{printable(name)}: {_text(value[name])}", flush=True)
    else:
        print(_text(value), flush=True)
    return ExitCode.OK


def _start_session(phone: LockdownClient) -> bool:
    try:
        phone.start_session()
    except (NotPairedError, PairRecordNotFoundError):
        return False
    return True


def _asked(phone: LockdownClient, key: str | None, domain: str | None, *, is_paired: bool) -> Value:
    if key is None:
        if not is_paired:
            complain("usbmux", "not paired, so this is what the phone tells everybody; all of it after: usbmux pair")
        return dict(phone.values(domain))
    try:
        return phone.value(key, domain)
    except LockdownError as error:
        if is_paired or error.error != "GetProhibited":
            raise
        raise NotPairedError(f"the phone tells {key} only to those that it trusts: usbmux pair", error.error) from error


def _text(value: Value) -> str:
    match value:
        case str():
            return printable(value)
        case bytes() | datetime.datetime():
            return _encoded(value)
        case _:
            return printable(json.dumps(value, sort_keys=True, default=_encoded, ensure_ascii=False))


def _encoded(value: object) -> str:
    match value:
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case datetime.datetime():
            return value.isoformat()
        case _:
            raise TypeError(f"{type(value).__name__} has no form in JSON")
