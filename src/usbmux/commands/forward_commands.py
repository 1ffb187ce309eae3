"""``usbmux forward`` and its sub-commands; what they need is imported when they run."""

import click

from usbmux.commands.options import (
    PROGRAM,
    Seconds,
    admin_option,
    chosen_address,
    device_option,
    run_command,
    socket_option,
)

_udids_option = device_option("the only one attached. May be repeated for ranges", may_repeat=True)
_listen_option = click.option(
    "-l", "--listen", "hosts", multiple=True, metavar="ADDRESS",
    help="Local address to listen on, may be repeated. Default: 127.0.0.1, so only this computer gets in.",
)  # fmt: skip
_json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document.")


class _ForwardGroup(click.Group):
    """Without the name of a sub-command, ``run`` is meant."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See `click.Command`."""
        if not args or args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group("forward", cls=_ForwardGroup, subcommand_metavar="[run] LOCAL:REMOTE... | COMMAND [ARGS]...")
def forward_group() -> None:
    """Forward local ports to ports of the phone.

    "usbmux forward 2222:22" forwards until it is interrupted, and takes the options of "run". The daemon forwards by
    itself what it was told with "add", whatever becomes of this shell, the phone's cable and the daemon.
    """


def _complete_command(ctx: click.Context, _: click.Parameter, typed: str) -> list[str]:
    """What else than a pair may come first: the names of the sub-commands, as "run" is only meant so far."""
    return [] if ctx.params.get("pairs") else [name for name in forward_group.commands if name.startswith(typed)]


@forward_group.command("run")
@click.argument("pairs", nargs=-1, required=True, metavar="LOCAL:REMOTE...", shell_complete=_complete_command)
@_udids_option
@_listen_option
@click.option(
    "--wait", "wait_s", type=Seconds(), default=30.0, show_default=True, metavar="SECONDS",
    help="How long a connection waits for an absent phone or daemon.",
)  # fmt: skip
@click.option("--once", "serves_once", is_flag=True, help="Take one connection, and end with it.")
@click.option("--tls-certificate", metavar="FILE", help="TLS at TCP ports: our certificate and its chain, in PEM.")
@click.option("--tls-key", metavar="FILE", help="Its key.")
@click.option("--tls-client-ca", metavar="FILE", help="Who must have signed the certificates of those who connect.")
@click.option("--print-ready", "only_ready", is_flag=True, help="On stdout, one line when all listen, and no more.")
@click.option("--json", "as_json", is_flag=True, help="On stdout, one JSON object a line.")
@click.option("-v", "--verbose", "is_verbose", is_flag=True, help="Report every connection on stderr.")
@socket_option
def run_forward_command(
    address: str | None,
    pairs: tuple[str, ...],
    udids: tuple[str, ...],
    hosts: tuple[str, ...],
    wait_s: float,
    serves_once: bool,
    tls_certificate: str | None,
    tls_key: str | None,
    tls_client_ca: str | None,
    only_ready: bool,
    as_json: bool,
    is_verbose: bool,
) -> int:
    """Forward until interrupted. This is what "usbmux forward" does without the name of a command.

    The pairs have iproxy's order: 2222:22 leads port 2222 of this computer to port 22 of the phone. LOCAL is a port, 0
    for any that is free, HOST:PORT, the path of a Unix socket (with a slash in it), fd:NAME for a socket that systemd
    has handed over (by its name or number), or - for standard input and output.

    2201-2203:22-24 leads three ports to three ports of one phone. 2201-2210:22 leads each of ten ports to port 22 of
    another phone: in the order of several -u; or the first to the phone that is there with the lowest UDID, and so on,
    then to each that comes. A phone keeps its port as long as the command runs. One -u chooses among phones then, by
    the beginning of the UDID or a pattern with * and ?.

    When it is ready, stdout gets a line for each, such as "listening address=127.0.0.1 port=2222 device_port=22
    udid=any"; and "phone address=127.0.0.1 port=2202 device_port=22 udid=..." when a phone gets a port of a range. With
    --print-ready it is "ready 127.0.0.1:2222 127.0.0.1:2223", once. SIGUSR1 asks for statistics, which also come at
    the end.
    """
    from usbmux.commands.forward_run import ForwardRun, forward

    given = (tls_certificate, tls_key, tls_client_ca)
    tls = tuple(path for path in given if path is not None)
    if 0 < len(tls) < len(given):
        raise click.UsageError("TLS needs --tls-certificate, --tls-key and --tls-client-ca")
    if only_ready and as_json:
        raise click.UsageError("--print-ready excludes --json")
    run = ForwardRun(
        program=PROGRAM,
        address=chosen_address(address),
        pairs=pairs,
        udids=udids,
        hosts=hosts,
        wait_s=wait_s,
        serves_once=serves_once,
        tls_files=tls,
        only_ready=only_ready,
        as_json=as_json,
        is_verbose=is_verbose,
    )
    return run_command(lambda: forward(run))


@forward_group.command("add")
@click.argument("pairs", nargs=-1, required=True, metavar="LOCAL:REMOTE...")
@_udids_option
@click.option("--any-phone", is_flag=True, help="Lead to whatever phone is the only one, at each connection.")
@_listen_option
@_json_option
@admin_option
@socket_option
def add_forward_command(
    address: str | None,
    admin_path: str | None,
    pairs: tuple[str, ...],
    udids: tuple[str, ...],
    any_phone: bool,
    hosts: tuple[str, ...],
    as_json: bool,
) -> int:
    """Let the daemon forward, from now on and after every restart; for root and the daemon's user.

    LOCAL is a port, 0 for any that is free (and the same for ever), a range, HOST:PORT, or the path of a Unix socket.
    The forward belongs to the phone that is meant now, also when it is not there later; a phone that is not there yet
    needs its whole UDID. Who connects while it is away waits for it up to 30 s.

    Anybody on this computer can connect to a TCP port; a Unix socket is for the daemon's user and group.
    """
    from usbmux.commands.kept_forwards import add_forwards

    if any_phone and udids:
        raise click.UsageError("--any-phone excludes -u")
    where = (chosen_address(address), admin_path)
    return run_command(lambda: add_forwards(where, pairs, udids, hosts, any_phone=any_phone, as_json=as_json))


@forward_group.command("list")
@_json_option
@admin_option
@socket_option
def list_forwards_command(address: str | None, admin_path: str | None, as_json: bool) -> int:
    """Print the forwards that the daemon keeps; for root and the daemon's user."""
    from usbmux.commands.kept_forwards import list_forwards

    where = (chosen_address(address), admin_path)
    return run_command(lambda: list_forwards(where, as_json=as_json))


@forward_group.command("remove")
@click.argument("locals_", nargs=-1, metavar="LOCAL...")
@click.option("--all", "all_of_them", is_flag=True, help="Every one.")
@_json_option
@admin_option
@socket_option
def remove_forwards_command(
    address: str | None, admin_path: str | None, locals_: tuple[str, ...], all_of_them: bool, as_json: bool
) -> int:
    """Let the daemon forward no more what "add" has told it; for root and the daemon's user.

    LOCAL is a port, or what "list" shows under LISTEN. Their connections end.
    """
    from usbmux.commands.kept_forwards import remove_forwards

    if all_of_them == bool(locals_):
        raise click.UsageError("give what to remove, or --all")
    where = (chosen_address(address), admin_path)
    return run_command(lambda: remove_forwards(where, None if all_of_them else locals_, as_json=as_json))
