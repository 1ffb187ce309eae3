"""Writes the manual pages, the shell completions and a configuration: ``python -m scripts.manual DIRECTORY``."""

import sys
from pathlib import Path

from scripts.manual import completion, configuration, pages
from scripts.manual.parsers import command_of_argparse, command_of_click
from usbmux.commands import inetcat, iproxy, tcprelay
from usbmux.commands.completion import completion_script
from usbmux.commands.daemon_parser import daemon_parser
from usbmux.commands.listen_tables import LISTEN_KEYS, RULE_KEYS
from usbmux.commands.usbmux import cli

_TABLES = {"listen": LISTEN_KEYS, "rule": RULE_KEYS}


def main(directory: Path) -> None:
    """Write everything below the directory."""
    for path, text in manual().items():
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def manual() -> dict[str, str]:
    """All files, by path."""
    daemon = command_of_argparse(daemon_parser())
    relay = command_of_argparse(tcprelay._parser())
    files = {
        "man/usbmuxd.8": pages.usbmuxd_page(daemon),
        "man/tcprelay.1": pages.tcprelay_page(relay),
        "man/usbmux.1": pages.usbmux_page(command_of_click(cli, "usbmux")),
        "man/usbmuxd.toml.5": pages.configuration_page(configuration.configuration_keys(daemon_parser()), _TABLES),
        "compat/iproxy.1": pages.drop_in_page(
            command_of_argparse(iproxy._parser()), "forward local TCP ports to ports of an iPhone"
        ),
        "compat/inetcat.1": pages.drop_in_page(
            command_of_argparse(inetcat._parser()), "join standard input and output with a port of an iPhone"
        ),
        "usbmuxd.toml": configuration.commented_configuration(daemon_parser()),
    }
    files |= {
        "completions/bash/usbmuxd": completion.bash_completion(daemon),
        "completions/zsh/_usbmuxd": completion.zsh_completion(daemon),
        "completions/fish/usbmuxd.fish": completion.fish_completion(daemon),
    }
    for program in ("usbmux", "tcprelay"):
        files |= {
            f"completions/bash/{program}": completion_script(program, "bash"),
            f"completions/zsh/_{program}": completion_script(program, "zsh"),
            f"completions/fish/{program}.fish": completion_script(program, "fish"),
        }
    return files


if __name__ == "__main__":
    main(Path(sys.argv[1]))
