"""Options that sub-commands share, and what runs each of them."""

from collections.abc import Callable
from typing import Final

import click

from usbmux.commands.exits import run_guarded

PROGRAM: Final = "usbmux"

socket_option = click.option(
    "--socket",
    "address",
    metavar="ADDRESS",
    help="Address of the usbmux daemon: a path or HOST:PORT. Default: USBMUXD_SOCKET_ADDRESS, or the system's.",
)
udid_option = click.option(
    "-u",
    "--udid",
    envvar="USBMUX_UDID",
    show_envvar=True,
    metavar="UDID",
    help="The phone, or a unique beginning of its UDID. Default: the only one attached.",
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
