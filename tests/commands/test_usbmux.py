import json

import pytest

from usbmux import __version__
from usbmux.commands.usbmux import cli, main

_SUB_COMMANDS = list(cli.commands)


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("command", [[], *([name] for name in _SUB_COMMANDS)])
def test_help_is_given_everywhere(command: list[str], option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, option]) == 0
    assert capsys.readouterr().out.startswith(" ".join(["Usage: usbmux", *command]))


def test_help_names_sub_commands_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    main(["-h"])
    text = capsys.readouterr().out
    for name in _SUB_COMMANDS:
        assert f"\n  {name} " in text
    assert "130 interrupted" in text


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_version_is_printed(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    assert capsys.readouterr().out == f"usbmux {__version__}\n"


def test_version_is_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"version": __version__}


@pytest.mark.parametrize(
    "arguments",
    [["connect", "22", "-q"], ["conform", "/none", "--timeout"], ["forward", "2222:22", "--wait"], ["pair", "--wait"]],
    ids=" ".join,
)
@pytest.mark.parametrize("text", ["nan", "-1", "soon"])
def test_seconds_are_none_exits_2(arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments, text]) == 2
    assert text in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["nonsense"], ["list", "--nonsense"], ["connect"], ["forward"]])
def test_wrong_line_exits_2_with_usage_on_stderr(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Usage: usbmux" in captured.err
