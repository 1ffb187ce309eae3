from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from usbmux.commands import usbmuxd
from usbmux.commands.daemon_parser import daemon_parser, file_keys
from usbmux.commands.usbmuxd import Choices, read_choices
from usbmux.control.address import UnixAddress
from usbmux.daemon.policy import Permission
from usbmux.errors import ConfigurationError


class Files:
    """A configuration file, and its drop-ins."""

    def __init__(self, folder: Path) -> None:
        self.main = folder / "usbmuxd.toml"

    def write(self, text: str) -> None:
        self.main.write_text(text)

    def drop_in(self, name: str, text: str) -> None:
        folder = self.main.with_name("usbmuxd.toml.d")
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(text)

    def read(self, *arguments: str) -> Choices:
        return read_choices(["--config", str(self.main), *arguments])


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_every_kind_of_key_means_what_its_flag_means(files: Files) -> None:
    files.write(
        'verbose = 2\nlinger = 5\nenable-exit = true\nusb = false\nlogfile = "/l"\nsocket = ["/a", "/b"]\n'
        'socket-mode = "0666"\nlog-format = "json"\nmax-clients = 7\n'
    )
    options = files.read().options
    assert (options.verbose, options.linger, options.enable_exit, options.usb) == (2, 5.0, True, False)
    assert (options.logfile, options.socket, options.socket_mode) == (Path("/l"), ["/a", "/b"], 0o666)
    assert (options.log_format, files.read().limits.total) == ("json", 7)


def test_file_as_arguments_are_the_same_choices(files: Files) -> None:
    files.write('linger = 5\nsocket = ["/a"]\n[[rule]]\nusers = [5]\n')
    said = read_choices(["--config", "NONE", "--linger", "5", "-S", "/a", "--rule", "users=5"])
    read = files.read()
    assert read.rules == said.rules
    for name, value in vars(said.options).items():
        assert name in ("config", "rule") or getattr(read.options, name) == value


def test_command_line_is_stronger_than_the_file(files: Files) -> None:
    files.write('linger = 5\nsocket = ["/a", "/b"]\nlogfile = "/l"\n')
    options = files.read("--linger", "6", "-S", "/c").options
    assert (options.linger, options.socket, options.logfile) == (6.0, ["/c"], Path("/l"))
    assert files.read("-v").options.socket == ["/a", "/b"]


def test_drop_ins_are_read_in_order_of_names_and_override(files: Files) -> None:
    files.write("linger = 1\nmax-clients = 3\n[[rule]]\nusers = [1]\n")
    files.drop_in("20.toml", "linger = 3\n[[rule]]\nusers = [3]\n")
    files.drop_in("10.toml", "linger = 2\n[[rule]]\nusers = [2]\n")
    files.drop_in("30.txt", "nonsense")
    choices = files.read()
    assert (choices.options.linger, choices.options.max_clients) == (3.0, 3)
    assert [set(rule.uids) for rule in choices.rules] == [{1}, {2}, {3}]
    assert [path.name for path in choices.files] == ["usbmuxd.toml", "10.toml", "20.toml"]


@pytest.mark.parametrize(("look", "name"), [("stat", "usbmuxd.toml"), ("listdir", "usbmuxd.toml.d")])
def test_files_cannot_be_looked_for_is_an_error(
    files: Files, monkeypatch: pytest.MonkeyPatch, look: str, name: str
) -> None:
    """A daemon that has given up its rights and is told to read them again must not go on without rules."""
    files.write("")
    files.drop_in("10.toml", "[[rule]]\nusers = [2]\n")
    asked = getattr(os, look)

    def refuse(path: str | Path, **options: object) -> object:
        if Path(path).name == name:
            raise PermissionError(errno.EACCES, "Permission denied")
        return asked(path, **options)

    monkeypatch.setattr(os, look, refuse)
    with pytest.raises(ConfigurationError, match=f"{name}: Permission denied"):
        files.read()


def test_drop_in_is_hidden_it_is_left_out(files: Files, tmp_path: Path) -> None:
    files.write("linger = 1\n")
    files.drop_in("10.toml", "linger = 2\n")
    files.drop_in("._10.toml", "\0")
    (tmp_path / "usbmuxd.toml.d/.#10.toml").symlink_to("somebody@computer.4711")  # as editors mark what they edit
    assert [path.name for path in files.read().files] == ["usbmuxd.toml", "10.toml"]


def test_listen_tables_become_listeners(files: Files) -> None:
    files.write('[[listen]]\naddress = "/a"\n\n[[listen]]\naddress = "/b"\nudids = ["1*"]\n')
    first, second = files.read().listen
    assert (first.address, first.permission) == (UnixAddress("/a"), None)
    assert (second.address, second.permission) == (UnixAddress("/b"), Permission(udids=("1*",)))


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("linger = 1\nlingre = 1\n", ":2", "unknown key 'lingre'"),
        ("\n\n[lingre]\nx = 1\n", ":3", "unknown key 'lingre'"),
        ("a.b = 1\n", ":1", "unknown key 'a'"),
        ("# linger = 2\nlinger = -1\n", ":2", "'-1' is no time"),
        ("linger = true\n", ":1", "linger: expected a value, got True"),
        ("linger = [1, 2]\n", ":1", "linger: expected one value"),
        ('enable-exit = "yes"\n', ":1", "enable-exit: expected true or false, got 'yes'"),
        ("verbose = -1\n", ":1", "verbose"),
        ('log-format = "xml"\n', ":1", "invalid choice: 'xml'"),
        ('"mode" = 9\n', ":1", "'9' is no USB mode"),
        ("exit = true\n", ":1", "unknown key 'exit'"),
        ("socket-mode = 0o660\n", ":1", 'expected a string such as "0660", got 432'),
        ('listen = "/a"\n', ":1", r"expected tables under \[\[listen\]\]"),
        ('\n[[listen]]\naddress = "/a"\n[[listen]]\naddress = "/b"\nudid = []\n', ":6", "unknown key 'udid'"),
        ('[[rule]]\nusers = [1]\n[[listen]]\nmode = "0660"\n', ":3", "address is missing"),
        ('[[listen]]\naddress = "nonsense"\n', ":2", "'nonsense': a port is missing"),
        ('[[listen]]\naddress = "0.0.0.0:5"\n', ":2", "0.0.0.0:5 can be reached from other computers"),
        ('[[rule]]\nports = [1]\nusers = ["no such"]\n', ":3", "there is no user 'no such'"),
        ('[[rule]]\nports = [1]\ngroups = ["no such"]\n', ":3", "there is no group 'no such'"),
        ('\nsocket = "nonsense"\n', ":2", "'nonsense': a port is missing"),
        ('socket = ["/a", "0.0.0.0:5"]\n', ":1", "0.0.0.0:5 can be reached from other computers"),
        ('\nsocket-group = "no such"\n', ":2", "there is no group 'no such'"),
        ('\nuser = "no such"\n', ":2", "there is no user 'no such'"),
        ("linger = \n", "", "Invalid value"),
        pytest.param("linger = " + "[" * 10_000, "", "nested too deep", id="too deep"),
        ("\xff\n".encode("latin-1").decode("utf-8", "surrogateescape"), "", "utf-8"),
    ],
)
def test_wrong_says_where_and_what(files: Files, text: str, line: str, problem: str) -> None:
    files.main.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigurationError, match=f"^{files.main}{line}: .*{problem}"):
        files.read()


def test_file_that_makes_no_sense_as_a_whole_says_where_and_what(files: Files) -> None:
    files.write('trace = "/x"\ncapture = "/x"\n')
    with pytest.raises(ConfigurationError, match=f"^{files.main}: two traces cannot be written to one file"):
        files.read()


def test_command_line_that_was_right_at_the_start_and_is_not_now_is_an_error(files: Files) -> None:
    files.write("")
    with pytest.raises(ConfigurationError, match="there is no group 'gone'"):
        read_choices(["--config", str(files.main), "--socket-group", "gone"], is_under_way=True)


def test_named_file_that_is_missing_is_an_error_and_the_default_one_is_not(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{files.main}: No such file"):
        files.read()
    monkeypatch.setattr(usbmuxd, "DEFAULT_PATH", tmp_path / "missing.toml")
    assert read_choices([]).files == ()


def test_check_config_tells_what_was_read(files: Files, capsys: pytest.CaptureFixture[str]) -> None:
    files.write("linger = 1\n")
    assert usbmuxd.main(["--config", str(files.main), "--check-config"]) == 0
    assert capsys.readouterr().out == f"usbmuxd: the configuration is right: {files.main}\n"
    files.write("linge = 1\n")
    assert usbmuxd.main(["--config", str(files.main), "--check-config"]) == 2
    assert capsys.readouterr().err == f"usbmuxd: {files.main}:1: unknown key 'linge'\n"


def test_check_config_finds_files_of_tls_that_are_missing(
    files: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pem = "".join(f'tls-{part} = "{tmp_path}/pem"\n' for part in ("certificate", "key", "client-ca"))
    files.write(f'[[listen]]\naddress = "0.0.0.0:5"\n{pem}')
    assert usbmuxd.main(["--config", str(files.main), "--check-config"]) == 2
    assert f"cannot use {tmp_path}/pem" in capsys.readouterr().err


def test_every_key_is_a_long_flag_and_most_flags_are_keys() -> None:
    parser = daemon_parser()
    keys = file_keys(parser)
    assert all(f"--{key}" in action.option_strings for key, action in keys.items())
    flags = {text.lstrip("-") for action in parser._actions for text in action.option_strings if text.startswith("--")}
    assert flags - set(keys) == {
        *("help", "version", "config", "check-config", "exit", "force-exit", "foreground", "udev", "systemd"),
        *("simulate", "listen", "rule"),
    }
