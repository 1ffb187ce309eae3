"""The sub-commands that ask a phone itself; what they need is imported when they run."""

import click

from usbmux.commands.options import Seconds, chosen_address, run_command, socket_option, udid_option

_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document.")


@click.command("pair")
@udid_option
@click.option(
    "--wait", "wait_s", type=Seconds(), default=0.0, metavar="SECONDS",
    help="How long the phone's owner may take to unlock it and tap Trust. Default: ask once.",
)  # fmt: skip
@_json_option
@socket_option
def pair_command(address: str | None, udid: str | None, wait_s: float, as_json: bool) -> int:
    """Make the phone trust this computer; the daemon keeps the record, for every program."""
    from usbmux.commands.pairing import pair

    return run_command(lambda: pair(chosen_address(address), udid, wait_s, as_json=as_json))


@click.command("unpair")
@udid_option
@_json_option
@socket_option
def unpair_command(address: str | None, udid: str | None, as_json: bool) -> int:
    """Make the phone trust this computer no longer, and remove the record."""
    from usbmux.commands.pairing import unpair

    return run_command(lambda: unpair(chosen_address(address), udid, as_json=as_json))


@click.command("validate")
@udid_option
@_json_option
@socket_option
def validate_command(address: str | None, udid: str | None, as_json: bool) -> int:
    """Say whether phone and computer still know each other; exit code 5 if not."""
    from usbmux.commands.pairing import validate

    return run_command(lambda: validate(chosen_address(address), udid, as_json=as_json))


@click.command("info")
@udid_option
@click.option("-k", "--key", metavar="KEY", help="One value, such as ProductVersion. Default: all.")
@click.option("-d", "--domain", metavar="DOMAIN", help="Values of that domain, such as com.apple.mobile.battery.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document; data in base64.")
@socket_option
def info_command(address: str | None, udid: str | None, key: str | None, domain: str | None, as_json: bool) -> int:
    """Print what the phone tells of itself: all of it once it is paired, a part before."""
    from usbmux.commands.information import show_information

    return run_command(lambda: show_information(chosen_address(address), udid, key, domain, as_json=as_json))
