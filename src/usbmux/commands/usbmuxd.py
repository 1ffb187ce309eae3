"""The command ``usbmuxd``."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from usbmux.admin.message import SUFFIX
from usbmux.commands.configuration_file import (
    DEFAULT_PATH,
    Configuration,
    configuration_files,
    read_configuration,
)
from usbmux.commands.daemon_parser import DEFAULT_GROUP, NONE, PROGRAM, DaemonParser, daemon_parser, file_keys
from usbmux.commands.daemon_process import DaemonProcess, ignore_early_signals
from usbmux.commands.descriptors import allowed_by_descriptors, hold_standard_streams, raise_limit
from usbmux.commands.exits import ExitCode, complain, run_guarded, run_program, say
from usbmux.commands.listen_tables import group_id, listen_settings, rule
from usbmux.commands.logs import Log
from usbmux.commands.pid_file import PidFile, locking_pid
from usbmux.commands.service_manager import ServiceManager, count_handed
from usbmux.commands.tracing import add_traces, check_trace_options
from usbmux.control.address import UnixAddress, address_from_environment, bound_address, parse_address
from usbmux.daemon.admission import ClientLimits
from usbmux.daemon.listen_settings import ListenSettings
from usbmux.daemon.policy import Rule
from usbmux.daemon.server import Daemon
from usbmux.daemon.settings import DaemonSettings
from usbmux.daemon.state_directory import StateDirectory
from usbmux.direct_loop import new_event_loop
from usbmux.errors import ConfigurationError
from usbmux.mux.settings import MuxSettings
from usbmux.usb.pipe import UsbBus
from usbmux.values import frozen

if TYPE_CHECKING:
    from usbmux.testing import SimulatedPhone

T = TypeVar("T")
logger = logging.getLogger("usbmux.daemon")
DEFAULT_PID_FILE: Final = Path("/run/usbmuxd.pid")
_MAX_PATH_LENGTH: Final = 103
"""Of a Unix socket, in bytes, where it is shortest (macOS)."""
_OWNER_ONLY: Final = 0o600
_ADMIN_NAME: Final = "admin"
"""FileDescriptorName= of the admin socket's unit."""
_TABLES: Final = {"listen": listen_settings, "rule": rule}


@frozen
class Choices:
    """What command line and configuration file say together."""

    options: argparse.Namespace
    listen: tuple[ListenSettings, ...]
    """Of ``--listen`` and ``[[listen]]``."""
    rules: tuple[Rule, ...]
    files: tuple[Path, ...]

    @property
    def limits(self) -> ClientLimits:
        """How many clients there may be, as far as this process may have descriptors for them."""
        options = self.options
        return allowed_by_descriptors(ClientLimits(options.max_clients, options.max_clients_for_each_user))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the daemon until a signal ends it, and return its exit code."""
    said = list(sys.argv[1:] if arguments is None else arguments)
    try:
        choices = read_choices(said)
    except ConfigurationError as error:
        complain(PROGRAM, str(error))
        return ExitCode.USAGE
    if choices.options.check_config:
        return _check(choices)
    if choices.options.config not in (None, NONE):
        said += ["--config", str(Path(choices.options.config).absolute())]  # read again from another directory
    return run_guarded(PROGRAM, lambda: _begin(choices, said))


def _check(choices: Choices) -> int:
    """What reading has not checked: the files that others name."""
    from usbmux.tls_front import server_context

    try:
        for listen in choices.listen:
            if listen.tls is not None:
                server_context(listen.tls)
    except ConfigurationError as error:
        complain(PROGRAM, str(error))
        return ExitCode.USAGE
    print(f"{PROGRAM}: the configuration is right: {', '.join(map(str, choices.files)) or 'no files'}")
    return ExitCode.OK


def read_choices(arguments: Sequence[str], *, is_under_way: bool = False) -> Choices:
    """Read the command line, and the configuration files that it names or that are where they belong.

    Args:
        arguments: The command line. What is wrong with it alone ends the program.
        is_under_way: A daemon serves by them; then that is an error too.

    Raises:
        ConfigurationError: A file says something wrong, or together with the others.
    """
    parser = daemon_parser()
    parser.raises = is_under_way
    try:
        options = parser.parse_args(arguments)
        check_trace_options(parser, options)
        parser.raises = True
        configuration = _configuration(parser, options.config)
        if configuration.arguments:
            options = _joined(parser, configuration, arguments)
    except ConfigurationError:
        raise
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    return Choices(
        options,
        listen=tuple(options.listen or _only(ListenSettings, configuration.tables["listen"])),
        rules=(*(options.rule or ()), *_only(Rule, configuration.tables["rule"])),
        files=configuration.paths,
    )


def _joined(parser: DaemonParser, configuration: Configuration, arguments: Sequence[str]) -> argparse.Namespace:
    """What files and command line say together; ValueError if that makes no sense."""
    from_file = parser.parse_args(configuration.arguments)
    options = parser.parse_args([*configuration.arguments, *arguments])
    if options.socket != from_file.socket:  # what the command line says is not said besides
        options.socket = options.socket[len(from_file.socket or ()) :]
    try:
        check_trace_options(parser, options)
    except ValueError as error:
        raise ConfigurationError(f"{', '.join(map(str, configuration.paths))}: {error}") from error
    return options


def _only(kind: type[T], made: Sequence[object]) -> list[T]:
    found = [item for item in made if isinstance(item, kind)]
    assert len(found) == len(made)
    return found


def _configuration(parser: DaemonParser, choice: str | None) -> Configuration:
    if choice == NONE:
        paths: tuple[Path, ...] = ()
    elif choice is None:
        paths = configuration_files(DEFAULT_PATH)
    else:
        paths = configuration_files(Path(choice)) or (Path(choice),)
    return read_configuration(paths, parser, file_keys(parser), _TABLES)


def _begin(choices: Choices, arguments: Sequence[str]) -> int:
    options = choices.options
    hold_standard_streams()
    pid_file = _pid_file(options)
    if options.exit or options.force_exit:
        return _end_other(pid_file or DEFAULT_PID_FILE, in_any_case=options.force_exit)
    if pid_file is not None and _tells_other(options, pid_file):
        return ExitCode.OK
    if options.foreground or options.systemd or sys.platform == "win32":
        return _run(choices, arguments, pid_file, _tell_ready)
    if count_handed(os.environ):
        raise ConfigurationError(
            "sockets that were handed over are for one process: --systemd or --foreground takes them"
        )
    from usbmux.commands.daemonize import run_in_background

    return run_in_background(lambda ready: _run(choices, arguments, pid_file, lambda _daemon: ready()))


def _pid_file(options: argparse.Namespace) -> Path | None:
    if options.pidfile == NONE:
        return None
    if options.pidfile is not None:
        return Path(options.pidfile).absolute()
    return None if options.foreground or options.systemd else DEFAULT_PID_FILE


def _end_other(pid_file: Path, *, in_any_case: bool) -> int:
    pid = locking_pid(pid_file)
    if pid is None:
        complain(PROGRAM, f"no other usbmuxd is running, says {pid_file}")
        return ExitCode.NO_DAEMON
    os.kill(pid, signal.SIGTERM if in_any_case else signal.SIGUSR1)
    return ExitCode.OK


def _tells_other(options: argparse.Namespace, pid_file: Path) -> bool:
    """For each phone that comes, udev starts a daemon; all but the first only tell the first."""
    pid = locking_pid(pid_file) if options.disable_hotplug or options.udev else None
    if pid is None:
        return False
    os.kill(pid, signal.SIGUSR2)
    return True


def _is_first(options: argparse.Namespace, pid_file: Path, stack: ExitStack) -> bool:
    """Lock the file; false if another daemon, which was not there yet when we began, has been told instead."""
    try:
        stack.enter_context(PidFile(pid_file))
    except BlockingIOError:
        if not _tells_other(options, pid_file):
            raise
        return False
    return True


def _run(
    choices: Choices, arguments: Sequence[str], pid_file: Path | None, tell_ready: Callable[[Daemon], None]
) -> int:
    """Serve until the end. The order matters: log, lock, sockets, then the smaller rights, then files and phones."""
    options = choices.options
    log = Log(options.log_format or ("journald" if options.systemd else "text"), options.logfile)
    ignore_early_signals()
    manager = ServiceManager(os.environ)
    phones = _simulated_phones(options.simulate)
    raise_limit(PROGRAM)
    # The selector loop also on Windows: sockets are read by readiness.
    with ExitStack() as stack, asyncio.Runner(loop_factory=new_event_loop) as runner:
        stack.callback(manager.close)
        stack.callback(log.close)
        log.start(options.verbose)
        if pid_file is not None and not _is_first(options, pid_file, stack):
            return ExitCode.OK
        settings = _settings(choices, manager)
        daemon = Daemon(settings, _buses(options, phones))
        add_traces(daemon.hub, options, stack)
        process = DaemonProcess(
            daemon,
            manager,
            exits_when_idle=options.enable_exit or options.udev or options.systemd,
            on_reload=lambda: _reload(arguments, log, daemon),
            on_listening=lambda: _give_up_rights(options.user, settings.pair_record_directory, log),
            on_ready=lambda: tell_ready(daemon),
        )
        runner.run(process.serve())
    return _judge(phones)


def _settings(choices: Choices, manager: ServiceManager) -> DaemonSettings:
    options = choices.options
    listen = (*_handed(manager), *choices.listen)
    if options.socket or not listen:
        listen = (*listen, *_named(options))
    return DaemonSettings(
        listen=listen,
        admin_listen=_admin(options, listen, manager),
        metrics_listen=ListenSettings(options.metrics, mode=_OWNER_ONLY) if options.metrics else None,
        preflight=not options.no_preflight,
        mux=MuxSettings(linger_s=options.linger),
        rules=choices.rules,
        client_limits=choices.limits,
        **({"pair_record_directory": options.config_dir.absolute()} if options.config_dir else {}),
    )


def _named(options: argparse.Namespace) -> Sequence[ListenSettings]:
    """What ``-S`` says, or the environment."""
    addresses = [parse_address(text) for text in options.socket or ()] or [address_from_environment(os.environ)]
    group = _socket_group(options)
    return [ListenSettings(address, mode=options.socket_mode, group=group) for address in addresses]


def _socket_group(options: argparse.Namespace) -> int | None:
    if options.socket_group is not None:
        return int(options.socket_group)
    if not hasattr(os, "geteuid") or os.geteuid() != 0:  # who is not root cannot give files away
        return None
    try:
        return group_id(DEFAULT_GROUP)
    except ValueError:
        return None


def _handed(manager: ServiceManager) -> Sequence[ListenSettings]:
    """What the service manager listens at for us."""
    return [
        ListenSettings(bound_address(handed.sock.getsockname()), handed=handed.sock)
        for handed in manager.sockets
        if handed.name != _ADMIN_NAME
    ]


def _admin(
    options: argparse.Namespace, listen: Sequence[ListenSettings], manager: ServiceManager
) -> ListenSettings | None:
    handed = next((handed.sock for handed in manager.sockets if handed.name == _ADMIN_NAME), None)
    if handed is not None:
        return ListenSettings(bound_address(handed.getsockname()), handed=handed)
    if options.admin_socket not in (None, NONE):
        return ListenSettings(UnixAddress(options.admin_socket), mode=_OWNER_ONLY)
    if options.admin_socket == NONE:
        return None
    # Not beside a socket with a view of its own: its folder may be shared with those who are to see no more.
    whole = [(each.address, each.has_file) for each in listen if each.permission is None]
    unix = [(address.path, has_file) for address, has_file in whole if isinstance(address, UnixAddress)]
    path = next((path for path, has_file in unix if has_file), None)
    if path is None:
        if unix:
            complain(PROGRAM, f"no admin socket: {unix[0][0]} has no file; --admin-socket PATH makes one")
        return None
    if len(os.fsencode(path + SUFFIX)) > _MAX_PATH_LENGTH:
        complain(PROGRAM, f"no admin socket: {path}{SUFFIX} is too long; --admin-socket PATH puts it elsewhere")
        return None
    return ListenSettings(UnixAddress(path + SUFFIX), mode=_OWNER_ONLY)


def _reload(arguments: Sequence[str], log: Log, daemon: Daemon) -> None:
    """Take over what can change while clients are connected. An error leaves everything as it was."""
    try:
        log.reopen()
        choices = read_choices(arguments, is_under_way=True)
    except (ConfigurationError, OSError) as error:
        logger.error("not reloaded: %s", error)
        return
    log.set_verbosity(choices.options.verbose)
    daemon.reconfigure(choices.rules, choices.limits)
    logger.warning("reloaded: log, verbosity, rules and limits; other changes wait for a restart")


def _give_up_rights(user: str | None, state: Path, log: Log) -> None:
    if sys.platform == "win32":
        return
    from usbmux.commands import privileges

    privileges.restrict()
    if user is None:
        return
    if os.geteuid() == 0:  # where its directory is to be, only root may make one as a rule
        entry = privileges.find_user(user)
        StateDirectory(state).make_for(entry.pw_uid, entry.pw_gid)
        log.give_to(entry.pw_uid, entry.pw_gid)
    privileges.become(user)


def _buses(options: argparse.Namespace, phones: "Sequence[SimulatedPhone]") -> list[UsbBus]:
    buses: list[UsbBus] = []
    # Imported here: a daemon needs one of the two.
    if phones:
        from usbmux.usb.simulated import SimulatedBus

        simulated = SimulatedBus()
        for phone in phones:
            phone.plug_into(simulated)
        buses.append(simulated)
    if options.usb or options.simulate is None:
        from usbmux.usb.libusb import LibusbBus

        is_watching = not (options.disable_hotplug or options.udev)
        buses.append(LibusbBus(mode=options.mode, sizes=options.reads, hotplug=is_watching))
    return buses


def _simulated_phones(choice: str | None) -> "list[SimulatedPhone]":
    if choice is None:
        return []
    from usbmux.testing.config import default_phones, load_phones

    return default_phones(int(choice)) if choice.isdecimal() else load_phones(choice)


def _judge(phones: "list[SimulatedPhone]") -> int:
    """What the simulated phones hold against the daemon is a defect of the daemon, and so is its exit code."""
    violations = [f"{phone.udid}: {violation}" for phone in phones for violation in phone.violations]
    for violation in violations:
        complain(PROGRAM, f"broke a rule: {violation}")
    return ExitCode.FAILURE if violations else ExitCode.OK


def _tell_ready(daemon: Daemon) -> None:
    where = ", ".join(str(address) for address in daemon.addresses)
    say(f"{PROGRAM} ready: {where}")


if __name__ == "__main__":
    sys.exit(run_program(PROGRAM, main))
