"""Options that sub-commands share, and what runs each of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, TypeVar

import click

from usbmux.commands.exits import run_guarded

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.shell_completion import CompletionItem

F = TypeVar("F", bound="Callable[..., int]")
PROGRAM: Final = "usbmux"


class Seconds(click.FloatRange):
    """How long; infinity is for ever."""

    name = "seconds"

    def __init__(self, *, may_be_zero: bool = True) -> None:
        super().__init__(min=0, min_open=not may_be_zero)

    def convert(self, value: float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See `click.ParamType`."""
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is no number of seconds", param, ctx)
        return seconds


socket_option = click.option(
    "--socket",
    "address",
    metavar="ADDRESS",
    help="Address of the usbmux daemon: a path or HOST:PORT. Default: USBMUXD_SOCKET_ADDRESS, or the system's.",
)


def device_option(default: str, *, may_repeat: bool = False) -> Callable[[F], F]:
    """The option that chooses a phone, see `usbmux.client.selection.select_device`.

    Args:
        default: Which it is without the option.
        may_repeat: Several may be chosen; the parameter is `udids` then.
    """
    return click.option(
        "-u",
        "--udid",
        "udids" if may_repeat else "udid",
        multiple=may_repeat,
        envvar="USBMUX_UDID",
        show_envvar=True,
        metavar="UDID",
        shell_complete=_complete_device,
        help=f"The phone: its UDID, a unique beginning of it, or its port such as 1-2.3. Default: {default}.",
    )


admin_option = click.option(
    "--admin-socket",
    "admin_path",
    metavar="PATH",
    help="The daemon's admin socket. Default: beside its other one, at the path of --socket and .admin.",
)


def chosen_address(address: str | None) -> str | None:
    """The sub-command's address, else that of the group."""
    group_address: str | None = click.get_current_context().find_root().params["address"]
    return address or group_address


def run_command(work: Callable[[], int]) -> int:
    """See `run_guarded`."""
    return run_guarded(PROGRAM, work)


def _complete_device(context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    from usbmux.commands.device_completion import complete_device  # here, because only Tab needs it

    address = context.params.get("address") or context.find_root().params.get("address")
    return complete_device(address, typed)


udid_option = device_option("the only one attached")
