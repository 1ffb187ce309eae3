"""The manual pages: what the parsers say, and around it what no parser knows."""

from collections.abc import Iterable, Mapping

from scripts.manual.command import Command, Option
from scripts.manual.roff import Page, bold, italic
from usbmux import __version__

_SOURCE = f"usbmux {__version__}"
_ADDRESS = ("USBMUXD_SOCKET_ADDRESS", "where the daemon listens and its clients find it, if no option says otherwise")
_UDID = ("USBMUX_UDID", "the phone to talk to, if no option names one")
_FILES = {
    "/etc/usbmux/usbmuxd.toml": "the daemon's configuration, see usbmuxd.toml(5)",
    "/run/usbmuxd": "the daemon's socket",
    "/run/usbmuxd.admin": "its admin socket, for root and the daemon's user",
    "/var/lib/lockdown": "pair records, and what identifies this computer to phones",
}


def usbmuxd_page(command: Command) -> str:
    """usbmuxd(8)."""
    page = _page_of(command, 8, "carry connections from local programs to iPhones over USB")
    _table(page, "ENVIRONMENT", {_ADDRESS[0]: _ADDRESS[1]})
    _table(page, "FILES", _FILES)
    _see_also(page, "usbmux(1)", "tcprelay(1)", "usbmuxd.toml(5)")
    return page.render()


def tcprelay_page(command: Command) -> str:
    """tcprelay(1)."""
    page = _page_of(command, 1, "forward local TCP ports to ports of an iPhone")
    _table(page, "ENVIRONMENT", dict((_ADDRESS, _UDID)))
    _see_also(page, "usbmux(1)", "usbmuxd(8)")
    return page.render()


def drop_in_page(command: Command, summary: str) -> str:
    """iproxy(1) or inetcat(1)."""
    page = _page_of(command, 1, summary)
    _table(page, "ENVIRONMENT", {_ADDRESS[0]: _ADDRESS[1]})
    _see_also(page, "usbmux(1)", "tcprelay(1)", "usbmuxd(8)")
    return page.render()


def usbmux_page(command: Command) -> str:
    """usbmux(1), with a part for each sub-command."""
    page = _page_of(command, 1, "talk to iPhones through the usbmux daemon")
    page.section("COMMANDS")
    for part in command.commands:
        _subcommand(page, command.name, part.name, part)
    _table(page, "ENVIRONMENT", dict((_ADDRESS, _UDID)))
    _see_also(page, "tcprelay(1)", "usbmuxd(8)")
    return page.render()


def _subcommand(page: Page, parent: str, title: str, command: Command) -> None:
    page.subsection(title)
    page.synopsis(f"{parent} {title}", command.usage)
    page.text(command.text)
    for group in command.groups:
        _options(page, group.options)
    for part in command.commands:
        _subcommand(page, parent, f"{title} {part.name}", part)


def configuration_page(keys: Mapping[str, Option], tables: Mapping[str, Mapping[str, str]]) -> str:
    """usbmuxd.toml(5).

    Args:
        keys: What stands behind each key.
        tables: What the keys of each array of tables mean.
    """
    page = Page("usbmuxd.toml", 5, _SOURCE, "configuration of the usbmux daemon")
    page.section("DESCRIPTION")
    page.text(
        "The daemon reads /etc/usbmux/usbmuxd.toml, if it is there, and after it /etc/usbmux/usbmuxd.toml.d/*.toml in "
        "the order of their names. Where two of them, or a file and the command line, say different things, the last "
        "one wins: the command line before all. A key that is not listed here is an error.\n\n"
        "usbmuxd --check-config reads the files and says what is wrong with them."
    )
    page.section("KEYS")
    page.text("Each stands for the option of the same name.")
    for key, option in keys.items():
        page.entry(f"{bold(key)} = {italic(option.value)}", option.text)
    page.section("TABLES")
    for name, entries in tables.items():
        page.subsection(f"[[{name}]]")
        for key, text in entries.items():
            page.entry(bold(key), text)
    _see_also(page, "usbmuxd(8)")
    return page.render()


def _page_of(command: Command, section: int, summary: str) -> Page:
    page = Page(command.name, section, _SOURCE, summary)
    page.section("SYNOPSIS")
    page.synopsis(command.name, command.usage)
    page.section("DESCRIPTION")
    page.text(command.text)
    if command.epilog:
        page.text(command.epilog)
    page.section("OPTIONS")
    for group in command.groups:
        if group.title:
            page.subsection(group.title[0].upper() + group.title[1:])
        if group.text:
            page.text(group.text)
        _options(page, group.options)
    return page


def _options(page: Page, options: Iterable[Option]) -> None:
    for option in options:
        flags = ", ".join(map(bold, option.flags))
        page.entry(" ".join(filter(None, (flags, option.value and italic(option.value)))), option.text)


def _table(page: Page, title: str, entries: Mapping[str, str]) -> None:
    page.section(title)
    for name, text in entries.items():
        page.entry(bold(name), text)


def _see_also(page: Page, *references: str) -> None:
    page.section("SEE ALSO")
    page.text(", ".join(references))
