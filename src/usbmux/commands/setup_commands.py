"""The sub-commands about this computer rather than a phone; what they need is imported when they run."""

import click

from usbmux.commands.options import chosen_address, run_command, socket_option

_PROGRAMS = ("limd", "pmd3", "go-ios", "frida", "appium")


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option(
    "--root", metavar="DIR", default="/", help="Look at the system below DIR. The daemon's socket is not in it."
)
@socket_option
def doctor_command(address: str | None, root: str, as_json: bool) -> int:
    """Find out why a phone cannot be used: daemon, rights, USB, pairing, environment.

    Each finding is a line, with what to do about it below. It changes nothing, and asks no phone for trust; as root it
    sees more. Exit code 0: all is well; 1: there is a problem or a warning.
    """
    from pathlib import Path

    from usbmux.commands.doctor.report import run_doctor

    return run_command(lambda: run_doctor(Path(root), chosen_address(address), as_json=as_json))


@click.command("env")
@click.option(
    "--for", "programs", type=click.Choice(_PROGRAMS), multiple=True,
    help="The program to tell, may be repeated: libimobiledevice, pymobiledevice3, go-ios, ... Default: all.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@socket_option
def env_command(address: str | None, programs: tuple[str, ...], as_json: bool) -> int:
    """Print how other programs are told where the daemon is, each in a spelling that it understands.

    For a shell: eval "$(usbmux env)"
    """
    from usbmux.commands.environment import show_environment

    return run_command(lambda: show_environment(chosen_address(address), programs, as_json=as_json))


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> int:
    """Print what makes a shell complete commands, options and phones, for usbmux and tcprelay.

    For bash: source <(usbmux completion bash)

    For zsh, after compinit: source <(usbmux completion zsh)

    For fish: usbmux completion fish | source
    """
    from usbmux.commands.completion import show_completion

    return run_command(lambda: show_completion(shell))
