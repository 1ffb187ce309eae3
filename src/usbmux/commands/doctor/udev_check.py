"""The rules of udev that give the phones' nodes to the daemon."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from usbmux.commands.doctor.accounts import has_user
from usbmux.commands.doctor.examination import Examination
from usbmux.commands.doctor.finding import Finding, Severity

_CHECK: Final = "udev"
_DIRECTORIES: Final = ("/etc/udev/rules.d", "/run/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d")
"""The first that has a name decides what is in it."""
_VENDOR: Final = "05ac"
_OWNER: Final = re.compile(r'^[^#]*\bOWNER="([^"]+)"', re.MULTILINE)
_CONFIGURES: Final = re.compile(r"^[^#]*bConfigurationValue\}?=(?!=)", re.MULTILINE)


def check_udev(examination: Examination) -> Iterator[Finding]:
    """Whether there is a rule, whether two disagree, and whether its user exists."""
    if not examination.is_linux or examination.is_container or not examination.view.is_there("/sys/bus/usb"):
        return
    rules = _rules(examination)
    owners = {path: found[1] for path, text in rules.items() if (found := _OWNER.search(text))}
    configuring = [path for path, text in rules.items() if _CONFIGURES.search(text)]
    if not rules:
        text = "no udev rule is about iPhones: their nodes stay root's, and no plug starts a daemon"
        yield Finding(_CHECK, Severity.WARNING, text, fix="sudo usbmux install-service")
        return
    if len(rules) > 1 and configuring:
        rival = configuring[0]
        text = f"{', '.join(rules)} are about iPhones, and {rival} configures them, which is for the daemon to do"
        fix = f"remove what brought {rival}, or hide it: sudo ln -s /dev/null {_hiding(rival)}"
        yield Finding(_CHECK, Severity.WARNING, text, fix)
    for path, owner in owners.items():
        if not has_user(examination.view, owner):
            text = f"{path} gives phones to the user {owner}, whom the system does not have"
            yield Finding(_CHECK, Severity.PROBLEM, text, fix="sudo systemd-sysusers; sudo udevadm trigger")
            return
    if len(rules) == 1 or not configuring:
        yield Finding(_CHECK, Severity.OK, f"iPhones have a rule: {', '.join(rules)}")


def _rules(examination: Examination) -> Mapping[str, str]:
    """Those about Apple's devices and usbmux, by path."""
    view = examination.view
    paths: dict[str, str] = {}
    for folder in _DIRECTORIES:
        for name in view.names(folder):
            if name.endswith(".rules"):
                paths.setdefault(name, f"{folder}/{name}")
    texts = {path: view.text(path) or "" for path in paths.values()}
    return {path: text for path, text in texts.items() if _VENDOR in text and "usbmux" in f"{path}{text}"}


def _hiding(path: str) -> str:
    return f"{_DIRECTORIES[0]}/{path.rpartition('/')[2]}"
