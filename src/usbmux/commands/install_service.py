"""``usbmux install-service``: make ``usbmuxd`` a service of this computer, or undo that.

All actions are decided first; then they are printed, and carried out unless it is a dry run.
"""

import os
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from usbmux.commands.exits import ExitCode, complain
from usbmux.commands.installed_files import LIST_PATH, InstalledFiles, list_of, read_list
from usbmux.commands.service_actions import (
    Action,
    KeepFile,
    MakeDirectory,
    RemoveDirectory,
    RemoveFile,
    RunStep,
    ServiceReport,
    SkipStep,
    WriteFile,
    carry_out,
)
from usbmux.commands.service_layout import ServiceLayout, Step, layout_of, shipped_file
from usbmux.commands.service_report import JsonReport, TextReport
from usbmux.errors import UsbmuxError
from usbmux.values import frozen

_PROGRAM: Final = "usbmux"
_HARMLESS_PATH: Final = re.compile(r"[A-Za-z0-9/._+-]+")
"""Means itself in every kind of file that the daemon's path is put into."""


def install_service(root: Path | None, *, uninstall: bool, dry_run: bool, as_json: bool = False) -> int:
    """Install or remove the service, and print what is done.

    Args:
        root: A directory to install below, instead of this computer; no programs are run then.
        uninstall: Remove what was installed.
        dry_run: Only print.
        as_json: One document at the end, instead of a line for each action.

    Returns:
        Failure if a program failed; everything else has been done. Of a dry run: if the other would refuse.

    Raises:
        UsbmuxError: It cannot be done, and nothing was.
        OSError: A file cannot be written or removed.
    """
    layout = layout_of(sys.platform)
    if root is None and not dry_run and os.geteuid() != 0:
        raise UsbmuxError(f"only root can change the services of {layout.manager}; --dry-run shows what would be done")
    place = Place(layout, root)
    daemon = None if uninstall else _daemon_path()
    is_well = daemon is None or _is_in_sight(place, daemon, dry_run=dry_run)
    actions = _actions(place, daemon)
    report: ServiceReport = JsonReport(is_dry_run=dry_run) if as_json else TextReport()
    left = None
    try:
        if dry_run:
            for action in actions:
                report.began(action)
        else:
            is_well &= carry_out(_PROGRAM, actions, report)
            left = layout.left if uninstall and actions else None
    finally:
        report.close(left)
    return ExitCode.OK if is_well else ExitCode.FAILURE


@frozen
class Place:
    """Where a service is installed."""

    layout: ServiceLayout
    root: Path | None

    def real(self, path: str) -> Path:
        """Where the path of the installed system is for us."""
        return (self.root or Path("/")) / path.lstrip("/")

    def content(self, path: str) -> bytes | None:
        """Of the file; None if there is none. A link has the content of no file."""
        real = self.real(path)
        if real.is_symlink():
            return b""
        try:
            return real.read_bytes()
        except FileNotFoundError:
            return None

    def steps(self, steps: Iterable[Step]) -> Iterator[Action]:
        """The steps, or why they are left out."""
        if self.root is not None:
            yield from (SkipStep(step, "it is for another root") for step in steps)
        elif not Path(self.layout.running_if).is_dir():
            yield from (SkipStep(step, f"{self.layout.manager} does not run here") for step in steps)
        else:
            yield from map(RunStep, steps)


def _actions(place: Place, daemon: Path | None) -> list[Action]:
    """What to do to install that daemon or, for None, to remove what is installed."""
    installed = read_list(place.real(LIST_PATH))
    if daemon is not None:
        return list(installation(place, installed, _contents(place.layout, daemon)))
    return list(removal(place, installed)) if installed.digests else []


def installation(place: Place, installed: InstalledFiles, contents: Mapping[str, bytes]) -> Iterator[Action]:
    """What to do for these files, by path, to be the ones that are installed.

    Raises:
        UsbmuxError: Files are in the way that are not ours any more.
    """
    present = {path: place.content(path) for path in contents}
    foreign = [
        str(place.real(path))
        for path, data in present.items()
        if data is not None and data != contents[path] and not installed.is_unchanged(path, data)
    ]
    if foreign:
        raise UsbmuxError(f"not written by usbmux, or changed by hand since; move away first: {', '.join(foreign)}")
    made = _missing_directories(place, (LIST_PATH, *contents))
    yield from (MakeDirectory(place.real(path)) for path in made)
    # The list comes first, so that what is interrupted later can be removed.
    new_list = list_of(contents, dict.fromkeys((*installed.directories, *made))).encode()
    for path, data in {LIST_PATH: new_list, **contents}.items():
        is_there = place.content(path) == data
        yield KeepFile(place.real(path), "as it should be") if is_there else WriteFile(place.real(path), data)
    yield from _removals(place, installed, (path for path in installed.digests if path not in contents))
    yield from place.steps(place.layout.after_installing)


def removal(place: Place, installed: InstalledFiles) -> Iterator[Action]:
    """What to do for nothing to be installed any more."""
    yield from place.steps(place.layout.before_removing)
    yield from _removals(place, installed, installed.digests)
    yield RemoveFile(place.real(LIST_PATH))
    yield from (RemoveDirectory(place.real(path)) for path in reversed(installed.directories))
    yield from place.steps(place.layout.after_removing)


def _removals(place: Place, installed: InstalledFiles, paths: Iterable[str]) -> Iterator[Action]:
    for path in paths:
        data = place.content(path)
        if data is None:
            continue
        is_ours = installed.is_unchanged(path, data)
        yield RemoveFile(place.real(path)) if is_ours else KeepFile(place.real(path), "changed by hand")


def _missing_directories(place: Place, paths: Iterable[str]) -> list[str]:
    """Those above the paths, parents first."""
    above = {str(directory) for path in paths for directory in Path(path).parents}
    return sorted(path for path in above if not place.real(path).is_dir())


def _contents(layout: ServiceLayout, daemon: Path) -> dict[str, bytes]:
    return {
        f"{directory}/{name.rpartition('/')[2]}": shipped_file(name, str(daemon)) for name, directory in layout.files
    }


def _daemon_path() -> Path:
    path = Path(sysconfig.get_path("scripts")) / "usbmuxd"
    if not path.exists():
        raise UsbmuxError(f"no usbmuxd at {path}, beside this Python; if a package brought it, so it did the service")
    if not _HARMLESS_PATH.fullmatch(str(path)):
        raise UsbmuxError(f"the service files cannot name {path}: it has characters with a meaning there")
    return path


def _is_in_sight(place: Place, daemon: Path, *, dry_run: bool) -> bool:
    """Whether services of this computer can see the daemon; true for another root, whose paths may be others."""
    for needed in (daemon, daemon.resolve(), Path(sys.base_prefix).resolve()):
        hiding = next((hidden for hidden in place.layout.hidden if needed.is_relative_to(hidden)), None)
        if hiding is not None:
            complaint = f"{needed} is below {hiding}, which services cannot see; install usbmux below /opt or /usr"
            if place.root is None and not dry_run:
                raise UsbmuxError(complaint)
            complain(_PROGRAM, complaint)
            return place.root is not None
    return True
