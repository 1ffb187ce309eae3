"""The command ``usbmux`` and its sub-commands; what they need is imported when they run, so that each starts fast."""

import sys
from collections.abc import Sequence
from contextlib import suppress

import click

from usbmux import __version__
from usbmux.commands.exits import ExitCode
from usbmux.commands.forward_commands import forward_group
from usbmux.commands.options import (
    PROGRAM,
    Seconds,
    admin_option,
    chosen_address,
    device_option,
    run_command,
    socket_option,
    udid_option,
)
from usbmux.commands.phone_commands import info_command, pair_command, unpair_command, validate_command
from usbmux.commands.setup_commands import completion_command, doctor_command, env_command

_EPILOG = (
    "Exit codes: 0 done, 1 failure, 2 usage, 3 no such phone or several fit, 4 no daemon, 5 not paired, "
    "6 refused by the phone, 7 timed out, 130 interrupted."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: Without the program's name; None for those of the process.

    Raises:
        OSError: Stdout does not take help or version.
    """
    stdout = sys.stdout
    try:
        given = None if arguments is None else list(arguments)
        code = cli.main(given, prog_name=PROGRAM, standalone_mode=False)
    except click.ClickException as error:
        with suppress(OSError):  # nobody can read it
            error.show()
        return error.exit_code
    except click.Abort:
        return ExitCode.INTERRUPTED
    except SystemExit as end:
        if sys.stdout is stdout:  # it was asked what may follow in a line
            raise
        # Click has put another in its place: nobody reads it, for which click has an exit code of its own.
        sys.stdout = stdout
        raise BrokenPipeError from end
    return code if isinstance(code, int) else ExitCode.OK


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, epilog=_EPILOG)
@click.version_option(__version__, message="%(prog)s %(version)s")
@socket_option
def cli(address: str | None) -> None:
    """Talk to iPhones through the usbmux daemon."""


@cli.command("list")
@click.option("-l", "--long", "detailed", is_flag=True, help="A table, with what each phone says of itself.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@socket_option
def list_command(address: str | None, detailed: bool, as_json: bool) -> int:
    """Print the attached phones, a UDID a line."""
    from usbmux.commands.devices import list_devices

    return run_command(lambda: list_devices(chosen_address(address), detailed=detailed, as_json=as_json))


@cli.command("watch")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@socket_option
def watch_command(address: str | None, as_json: bool) -> int:
    """Print a line whenever a phone comes, goes or is paired, until interrupted; first those that are there."""
    from usbmux.commands.devices import watch_devices

    return run_command(lambda: watch_devices(chosen_address(address), as_json=as_json))


@cli.command("connect")
@click.argument("port", type=click.IntRange(1, 65535))
@udid_option
@click.option(
    "-q", "--quit-after", "quit_after_s", type=Seconds(), metavar="SECONDS",
    help="After the end of stdin, end when the phone was silent for so long. Default: as long as the daemon waits.",
)  # fmt: skip
@socket_option
def connect_command(address: str | None, udid: str | None, quit_after_s: float | None, port: int) -> int:
    """Join stdin and stdout with a port of the phone.

    For ssh: ssh -o ProxyCommand='usbmux connect 22' mobile@iphone
    """
    from usbmux.commands.connect import connect

    return run_command(lambda: connect(chosen_address(address), udid, port, quit_after_s))


@cli.command("status")
@click.option(
    "-l", "--long", "detailed", is_flag=True, help="Also the daemon's clients, and their connections to phones."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@admin_option
@socket_option
def status_command(address: str | None, admin_path: str | None, detailed: bool, as_json: bool) -> int:
    """Print what the daemon is doing with each phone that is plugged in; for root and the daemon's user."""
    from usbmux.commands.status import admin_client, show_status

    return run_command(
        lambda: show_status(admin_client(chosen_address(address), admin_path), detailed=detailed, as_json=as_json)
    )


@cli.command("top")
@click.option("--once", "is_once", is_flag=True, help="One sample, as tables. It takes a second, to see what moves.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object a line for every sample, until interrupted.")
@admin_option
@socket_option
def top_command(address: str | None, admin_path: str | None, is_once: bool, as_json: bool) -> int:
    """Show phones and the programs that use them, live; for root and the daemon's user.

    Keys: arrows and Tab choose, / filters, s sorts, d tells more, k ends a client, w writes a capture, q quits.

    The screen needs a terminal and the extra "tui"; --once and --json need neither.
    """
    from usbmux.commands.status import admin_client
    from usbmux.commands.top.run import TopOptions, has_terminal, top

    if not (is_once or as_json or has_terminal()):
        raise click.UsageError("the screen needs a terminal; --once and --json do not")
    chosen = chosen_address(address)
    return run_command(lambda: top(TopOptions(admin_client(chosen, admin_path), chosen, is_once, as_json)))


@cli.command("capture")
@device_option("all, those that come later included")
@click.option(
    "-w", "--write", "path", metavar="FILE", help="A pcapng file for Wireshark; - for stdout. Default: lines."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@admin_option
@socket_option
def capture_command(
    address: str | None, admin_path: str | None, udid: str | None, path: str | None, as_json: bool
) -> int:
    """Write down what crosses between the daemon and its phones, until interrupted; for root and the daemon's user.

    Without -w, stdout gets a line for every packet. To watch it live: usbmux capture -w - | wireshark -k -i -
    """
    from usbmux.commands.capture import capture
    from usbmux.commands.status import admin_client

    if path is not None and as_json:
        raise click.UsageError("--write excludes --json")
    if path in (None, "-") and sys.stdout is None:
        raise click.UsageError("this needs an open stdout, or a file")
    if path == "-" and sys.stdout is not None and sys.stdout.isatty():
        raise click.UsageError("a terminal cannot show a capture; leave -w away, or give it a file")
    return run_command(lambda: capture(admin_client(chosen_address(address), admin_path), udid, path, as_json=as_json))


@cli.command("conform")
@click.argument("address")
@udid_option
@click.option(
    "-p", "--port", "echo_port", type=click.IntRange(1, 65535), help="A port of the phone where everything comes back."
)
@click.option("--only", "pattern", default="*", metavar="PATTERN", help="The cases of such names: 'listen.*'.")
@click.option("--read-only", "is_read_only", is_flag=True, help="Save no pair record, not even under a made-up id.")
@click.option(
    "--timeout", "timeout_s", type=Seconds(may_be_zero=False), default=5.0, show_default=True,
    metavar="SECONDS", help="How long each answer may take.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def conform_command(
    address: str,
    udid: str | None,
    echo_port: int | None,
    pattern: str,
    is_read_only: bool,
    timeout_s: float,
    as_json: bool,
) -> int:
    """Ask the usbmux server at ADDRESS everything, good and bad, and say where its answers are not what clients expect.

    Cases that need a phone, or a port of it that returns everything, are skipped without one.

    Exit code 0: all that ran conform; 1: not all; 3: there is no server, or not that phone.
    """
    from usbmux.commands.conform import ConformOptions, conform

    options = ConformOptions(address, udid, echo_port, pattern, not is_read_only, timeout_s, as_json)
    return run_command(lambda: conform(options))


@cli.command("demo")
def demo_command() -> int:
    """Show the whole way with a simulated phone."""
    from usbmux.commands.demo import run_demo

    return run_command(run_demo)


@cli.command("install-service")
@click.option("--uninstall", is_flag=True, help="Remove what was installed, except what was changed by hand since.")
@click.option("--dry-run", is_flag=True, help="Only print what would be done.")
@click.option("--root", metavar="DIR", help="Install below DIR instead of /, and run no programs.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document, at the end.")
def install_service_command(uninstall: bool, dry_run: bool, root: str | None, as_json: bool) -> int:
    """Make usbmuxd a service of this computer, under systemd or launchd; for root.

    Prints a line for each file that is written or removed, and for each program that is run.
    """
    from pathlib import Path

    from usbmux.commands.install_service import install_service

    where = None if root is None else Path(root).absolute()
    return run_command(lambda: install_service(where, uninstall=uninstall, dry_run=dry_run, as_json=as_json))


@cli.command("simulate", context_settings={"allow_interspersed_args": False})
@click.option("--count", type=click.IntRange(1, 64), default=None, help="Number of phones. Default: 1.")
@click.option("--config", "config", metavar="FILE", default=None, help="The phones that a TOML file describes.")
@click.option("--plain", "is_plain", is_flag=True, help="Phones without lockdown and services.")
@click.option(
    "-S", "--socket", "sockets", multiple=True, metavar="ADDRESS",
    help="Where to listen, may be repeated: a path or HOST:PORT. Default: a private Unix socket.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object when it is ready.")
@click.option("--usbredir", "path", metavar="SOCKET", help="Serve virtual machines; Unix socket of the first phone.")
@click.option("--speed", type=click.Choice(["high", "super"]), help="Of the cables to virtual machines. Default: high.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]")
def simulate_command(
    count: int | None,
    config: str | None,
    is_plain: bool,
    sockets: tuple[str, ...],
    as_json: bool,
    path: str | None,
    speed: str | None,
    command: tuple[str, ...],
) -> int:
    """Serve virtual iPhones behind a daemon, until interrupted or as long as COMMAND runs.

    With COMMAND, it finds them by its environment, and its exit code is that of this program. Without, stdout tells
    what to type for each tool, in lines for the shell, the last of which begins with "# ready".

    With --usbredir there is no daemon: each phone waits at a Unix socket of its own (SOCKET, SOCKET.1, SOCKET.2 and so
    on) for a usbredir guest such as QEMU. When it does, stdout gets a line with QEMU's options for it, such as "ready
    udid=... speed=high socket=/tmp/phone qemu: -chardev socket,id=phone0,path=/tmp/phone -device usb-redir,...".

    Virtual iPhones need the extra "testing". Exit code 1 is also for broken rules of the mux, which stderr names.
    """
    from usbmux.commands.simulate import SimulateOptions, chosen_phones, run_simulation

    if config is not None and (count is not None or is_plain):
        raise click.UsageError("--config excludes --count and --plain")
    if path is None and speed is not None:
        raise click.UsageError("--speed goes with --usbredir")
    if path is not None and (sockets or as_json or command):
        raise click.UsageError("--usbredir excludes --socket, --json and a command")

    def work() -> int:
        phones = chosen_phones(count or 1, config, is_plain=is_plain)
        if path is None:
            listen = sockets or tuple(filter(None, [chosen_address(None)]))
            return run_simulation(SimulateOptions(listen, command, as_json), phones)
        from usbmux.commands.redirection import run_redirection

        return run_redirection(path, [phone.device for phone in phones], speed or "high")

    return run_command(work)


@cli.command("version")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def version_command(as_json: bool) -> int:
    """Print the version."""
    click.echo(f'{{"version": "{__version__}"}}' if as_json else f"{PROGRAM} {__version__}")
    return ExitCode.OK


cli.add_command(forward_group)
cli.add_command(pair_command)
cli.add_command(unpair_command)
cli.add_command(validate_command)
cli.add_command(info_command)
cli.add_command(doctor_command)
cli.add_command(env_command)
cli.add_command(completion_command)
