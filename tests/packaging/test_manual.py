"""The manual pages, completions and the configuration that are made from the parsers."""

from __future__ import annotations

import argparse
import re
import tomllib
from typing import TYPE_CHECKING

import click
import pytest

from scripts.manual.__main__ import main, manual
from scripts.manual.parsers import command_of_argparse, command_of_click
from scripts.manual.roff import Page, bold
from tests.packaging.tools import run, tool
from usbmux.commands.configuration_file import read_configuration
from usbmux.commands.daemon_parser import daemon_parser, file_keys
from usbmux.commands.usbmux import cli

if TYPE_CHECKING:
    from pathlib import Path

PAGES = ("usbmuxd.8", "tcprelay.1", "usbmux.1", "usbmuxd.toml.5")
COMPAT_PAGES = ("iproxy.1", "inetcat.1")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("manual")
    main(folder)
    return folder


def shown(page: str, folder: Path) -> str:
    """The page as a reader sees it on a wide terminal."""
    path = folder / ("compat" if page in COMPAT_PAGES else "man") / page
    environment = {"MANWIDTH": "500", "LC_ALL": "C.UTF-8", "MAN_KEEP_FORMATTING": "", "GROFF_NO_SGR": "1"}
    outcome = run(tool("man"), "--warnings", "-P", "cat", "-l", path, environment=environment)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    return outcome.stdout


@pytest.mark.interop
@pytest.mark.parametrize("page", [*PAGES, *COMPAT_PAGES])
def test_page_is_shown_without_warnings(page: str, folder: Path) -> None:
    name = page.rpartition(".")[0]
    assert f"NAME\n       {name} - " in shown(page, folder)


@pytest.mark.interop
def test_page_of_the_daemon_has_every_option_with_its_help(folder: Path) -> None:
    text = " ".join(shown("usbmuxd.8", folder).split())
    for option in command_of_argparse(daemon_parser()).options:
        assert f"{', '.join(option.flags)} {option.value}".strip() in text
        assert " ".join(option.text.split()) in text


@pytest.mark.interop
def test_page_of_usbmux_has_every_command(folder: Path) -> None:
    text = shown("usbmux.1", folder)
    for command in command_of_click(cli, "usbmux").commands:
        for name, each in [(command.name, command)] + [
            (f"{command.name} {part.name}", part) for part in command.commands
        ]:
            assert f"\n   {name}\n       usbmux {name} {each.usage}\n" in text


@pytest.mark.interop
def test_page_of_the_configuration_has_every_key(folder: Path) -> None:
    text = shown("usbmuxd.toml.5", folder)
    for key in file_keys(daemon_parser()):
        assert re.search(rf"^       {key} = \S", text, re.MULTILINE), key


@pytest.mark.interop
def test_text_with_every_special_character_is_shown_as_it_is(tmp_path: Path) -> None:
    line = ".it's a \\fBtrap\\fR -- ~^`\"' \\n(x \\*[y] @ <>{}"
    page = Page("trap", 1, "usbmux", "traps")
    page.text(f"{line}\n\n  {line}\n\n'and {line}")
    page.entry(bold(line), line)
    (tmp_path / "man").mkdir()
    (tmp_path / "man/trap.1").write_text(page.render())

    assert shown("trap.1", tmp_path).count(line) >= 4


def test_hyphen_stays_one_that_can_be_copied_to_a_command_line() -> None:
    assert bold("--socket") == "\\fB\\-\\-socket\\fR"


def test_line_with_a_tag_begins_a_paragraph_and_its_continuation_does_not() -> None:
    page = Page("name", 1, "source", "summary")
    page.text("signals: INT ends it,\nand TERM\nno tag; this: either")

    assert page.render().endswith(".TP\n\\fBsignals\\fR\nINT ends it,\nand TERM\nno tag; this: either\n")


def test_argparse_command_is_read_with_groups_values_and_defaults() -> None:
    parser = argparse.ArgumentParser(prog="tool", description="What.", epilog="End.", add_help=False)
    parser.add_argument("name", help="the name")
    group = parser.add_argument_group("more", "Of it.")
    group.add_argument("-n", "--number", metavar="N", default=3, help="how many (default: %(default)d)")
    group.add_argument("--kind", choices=["a", "b"])

    command = command_of_argparse(parser)

    assert (command.name, command.usage, command.text, command.epilog) == (
        "tool",
        "[-n N] [--kind {a,b}] name",
        "What.",
        "End.",
    )
    assert [(option.flags, option.value, option.text) for option in command.groups[0].options] == [
        ((), "name", "the name")
    ]
    assert [(group.title, group.text) for group in command.groups[1:]] == [("more", "Of it.")]
    assert [(option.flags, option.value, option.text, option.choices) for option in command.options] == [
        (("-n", "--number"), "N", "how many (default: 3)", ()),
        (("--kind",), "{a,b}", "", ("a", "b")),
    ]


def test_click_command_is_read_with_its_parts() -> None:
    @click.group()
    def group() -> None:
        """All of it."""

    @group.command("part")
    @click.argument("what")
    @click.option("-k", "--kind", type=click.Choice(["a", "b"]), help="Which.")
    def part(what: str, kind: str) -> None:
        """Do it.

        Well.
        """

    command = command_of_click(group, "tool")

    assert (command.name, command.text) == ("tool", "All of it.")
    (only,) = command.commands
    assert (only.name, only.usage, only.text) == ("part", "[OPTIONS] WHAT", "Do it.\n\nWell.")
    assert [(option.flags, option.value, option.choices) for option in only.options] == [
        (("-k", "--kind"), "[a|b]", ("a", "b")),
        (("--help",), "", ()),
    ]


def test_shipped_configuration_changes_nothing_and_names_every_key(folder: Path) -> None:
    parser = daemon_parser()
    text = (folder / "usbmuxd.toml").read_text()

    assert tomllib.loads(text) == {}
    uncommented = tomllib.loads(re.sub(r"^#(?=\S+ = )", "", text, flags=re.MULTILINE))
    assert uncommented.keys() == file_keys(parser).keys()


def test_shipped_configuration_with_its_numbers_uncommented_says_the_defaults(folder: Path, tmp_path: Path) -> None:
    parser = daemon_parser()
    text = (folder / "usbmuxd.toml").read_text()
    path = tmp_path / "usbmuxd.toml"
    path.write_text(re.sub(r'^#(?=\S+ = "?\d+(\.\d+)?"?$)', "", text, flags=re.MULTILINE))

    read = read_configuration([path], parser, file_keys(parser), {})

    assert len(read.arguments) >= 4
    assert parser.parse_args(list(read.arguments)) == parser.parse_args([])


def completed(folder: Path, name: str, line: str) -> set[str]:
    """What bash offers for the last word of a line."""
    words = line.split(" ")
    script = (
        f"source '{folder}/completions/bash/{name}'; COMP_WORDS=({line.replace(words[-1], repr(words[-1]))}); "
        f"COMP_CWORD={len(words) - 1}; _{name}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    outcome = run("bash", "--norc", "-c", script)
    assert outcome.stderr == ""
    return set(outcome.stdout.split())


@pytest.mark.interop
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("usbmuxd --check", {"--check-config"}),
        ("usbmuxd -f --log-format js", {"json"}),
        ("usbmuxd --max-clients 1", set()),
        ("usbmuxd --simulate --us", {"--usb", "--user"}),
    ],
)
def test_bash_completes_words(line: str, offered: set[str], folder: Path) -> None:
    assert completed(folder, line.partition(" ")[0], line) == offered


@pytest.mark.interop
def test_bash_completes_files_after_an_option_that_takes_one(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "usbmuxd.toml").touch()
    assert completed(folder, "usbmuxd", f"usbmuxd --config {tmp_path}/usb") == {f"{tmp_path}/usbmuxd.toml"}


@pytest.mark.interop
@pytest.mark.parametrize(("shell", "option"), [("zsh", "-n"), ("fish", "--no-execute"), ("bash", "-n")])
def test_shell_can_parse_its_completions(shell: str, option: str, folder: Path) -> None:
    scripts = sorted((folder / "completions" / shell).iterdir())
    assert len(scripts) == 3
    for script in scripts:
        outcome = run(tool(shell) if shell != "bash" else "bash", option, script)
        assert (outcome.returncode, outcome.stderr) == (0, ""), script


@pytest.mark.interop
def test_fish_completes_words(folder: Path) -> None:
    script = f"source '{folder}/completions/fish/usbmuxd.fish'; complete --do-complete 'usbmuxd --check'"
    assert "--check-config\t" in run(tool("fish"), "--no-config", "-c", script).stdout


def test_every_file_is_made() -> None:
    expected = {f"man/{page}" for page in PAGES} | {f"compat/{page}" for page in COMPAT_PAGES} | {"usbmuxd.toml"}
    for name in ("usbmuxd", "tcprelay", "usbmux"):
        expected |= {f"completions/bash/{name}", f"completions/zsh/_{name}", f"completions/fish/{name}.fish"}
    assert manual().keys() == expected
