from __future__ import annotations

import re
from pathlib import Path

import pytest

from usbmux.commands.daemon_parser import MODE_VARIABLE, daemon_parser

OPTIONS = [
    ("-v", "--verbose", [], "verbose", 1),
    ("-f", "--foreground", [], "foreground", True),
    ("-U", "--user", ["0"], "user", "0"),
    ("-n", "--disable-hotplug", [], "disable_hotplug", True),
    ("-z", "--enable-exit", [], "enable_exit", True),
    ("-p", "--no-preflight", [], "no_preflight", True),
    ("-u", "--udev", [], "udev", True),
    ("-s", "--systemd", [], "systemd", True),
    ("-C", "--config-dir", ["/c"], "config_dir", Path("/c")),
    ("-S", "--socket", ["/s"], "socket", ["/s"]),
    ("-P", "--pidfile", ["NONE"], "pidfile", "NONE"),
    ("-x", "--exit", [], "exit", True),
    ("-X", "--force-exit", [], "force_exit", True),
    ("-l", "--logfile", ["/l"], "logfile", Path("/l")),
]
"""Of the daemons that this one takes the place of, besides those that end at once."""


@pytest.mark.parametrize(("short", "long", "value", "name", "meaning"), OPTIONS)
def test_option_of_other_daemons_is_taken_short_and_long_and_changes_nothing_else(
    short: str, long: str, value: list[str], name: str, meaning: object
) -> None:
    nothing = vars(daemon_parser().parse_args([]))
    for flag in (short, long):
        assert vars(daemon_parser().parse_args([flag, *value])) == nothing | {name: meaning}


@pytest.mark.parametrize(
    ("flag", "begin"),
    [("-h", "usage: usbmuxd"), ("--help", "usage: usbmuxd"), ("-V", "usbmuxd "), ("--version", "usbmuxd ")],
)
def test_option_that_only_tells_ends_well(flag: str, begin: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        daemon_parser().parse_args([flag])

    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(begin)


def test_flags_without_value_can_share_a_dash() -> None:
    options = daemon_parser().parse_args(["-vvfnz"])
    assert (options.verbose, options.foreground, options.disable_hotplug, options.enable_exit) == (2, True, True, True)


@pytest.mark.parametrize("path", ["", "a\0b"])
@pytest.mark.parametrize(
    "option",
    ["pidfile", "admin-socket", "config-dir", "logfile", "config", "simulate", "trace", "capture", "record"],
)
def test_path_is_none_it_is_refused_as_usage(option: str, path: str) -> None:
    parser = daemon_parser()
    parser.raises = True
    with pytest.raises(ValueError, match=f"--{option}: {re.escape(repr(path))} is no path"):
        parser.parse_args([f"--{option}={path}"])


@pytest.mark.parametrize(("value", "mode"), [("", None), ("3", 3)])
def test_variable_has_a_mode_or_is_empty_it_is_that_or_none(
    value: str, mode: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MODE_VARIABLE, value)
    assert daemon_parser().parse_args([]).mode == mode


def test_variable_has_no_mode_it_is_named_unless_a_mode_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODE_VARIABLE, "9")
    parser = daemon_parser()
    parser.raises = True
    assert parser.parse_args(["--mode", "4"]).mode == 4
    with pytest.raises(ValueError, match="'9' is no USB mode, which are 1 to 5; it is in USBMUXD_DEFAULT_DEVICE_MODE"):
        parser.parse_args([])
