"""The configuration file of ``usbmuxd``: TOML, each key of which is a flag of the command line."""

import argparse
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, Protocol, TypeVar

from usbmux.errors import ConfigurationError
from usbmux.values import frozen

_FoundT = TypeVar("_FoundT")
DEFAULT_PATH: Final = Path("/etc/usbmux/usbmuxd.toml")
_TABLE_HEAD: Final = re.compile(r"\s*\[\[?\s*([^]\s]+)\s*\]\]?")
_KEY: Final = re.compile(r"""\s*["']?([^"'=\s]+)["']?\s*=""")


class TakesTable(Protocol):
    """Checks a table and turns it into what the daemon uses."""

    def __call__(self, table: Mapping[str, object], /) -> object:
        """Raises ValueError for a table that makes no sense."""


@frozen
class Configuration:
    """What the files say."""

    arguments: tuple[str, ...]
    """As on the command line, and to be put before what is there."""
    tables: Mapping[str, tuple[object, ...]]
    """What became of the arrays of tables, by name."""
    paths: tuple[Path, ...]
    """The files that were read, in order."""


class _RaisingParser(Protocol):
    def parse_args(self, arguments: list[str]) -> argparse.Namespace:
        """Raises ValueError instead of ending the program."""


def configuration_files(path: Path) -> tuple[Path, ...]:
    """The file, if it is there, and the drop-ins beside it: ``FILE.d/*.toml`` in order of their names.

    As in a shell, these are none that are hidden: editors and file systems leave such files beside others.

    Raises:
        ConfigurationError: They may be there, and cannot be looked for. Without them rules would be missing.
    """
    folder = path.with_name(path.name + ".d")
    main = (path,) if _found(os.stat, path) is not None else ()
    names = _found(os.listdir, folder) or []
    return (*main, *sorted(folder / name for name in names if name.endswith(".toml") and name[0] != "."))


def _found(look: Callable[[Path], _FoundT], path: Path) -> _FoundT | None:
    try:
        return look(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error


def read_configuration(
    paths: Iterable[Path],
    parser: _RaisingParser,
    flags: Mapping[str, argparse.Action],
    tables: Mapping[str, TakesTable],
) -> Configuration:
    """Read and check the files; later ones override earlier ones, and add to their tables.

    Args:
        paths: The files.
        parser: The command line's.
        flags: What a key stands for, by key.
        tables: What to do with arrays of tables, by name.

    Raises:
        ConfigurationError: A file cannot be read, is no TOML, or says something wrong; the text tells where.
    """
    arguments: list[str] = []
    found: dict[str, list[object]] = {name: [] for name in tables}
    read = []
    for path in paths:
        content, text = _load(path)
        read.append(path)
        for key, value in content.items():
            if key in tables:
                found[key] += _read_tables(path, text, key, value, tables[key])
                continue
            where = f"{path}:{_line_of(text, key)}"
            if key not in flags:
                raise ConfigurationError(f"{where}: unknown key {key!r}")
            spelled = _spell(where, key, value, flags[key])
            try:
                parser.parse_args(spelled)
            except ValueError as error:
                raise ConfigurationError(f"{where}: {error}") from error
            arguments += spelled
    return Configuration(tuple(arguments), {name: tuple(made) for name, made in found.items()}, tuple(read))


def _load(path: Path) -> tuple[dict[str, object], str]:
    try:
        text = path.read_text(encoding="utf-8")
        return tomllib.loads(text), text
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(f"{path}: {reason}") from error
    except RecursionError:
        raise ConfigurationError(f"{path}: nested too deep") from None


def _read_tables(path: Path, text: str, name: str, value: object, take: TakesTable) -> list[object]:
    if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
        raise ConfigurationError(f"{path}:{_line_of(text, name)}: expected tables under [[{name}]]")
    made = []
    for index, table in enumerate(value):
        try:
            made.append(take(table))
        except ValueError as error:
            line = _table_line(text, name, index, mentioned=str(error), keys=table)
            raise ConfigurationError(f"{path}:{line}: [[{name}]]: {error}") from error
    return made


def _spell(where: str, key: str, value: object, action: argparse.Action) -> list[str]:
    """The arguments that say the same on the command line."""
    flag = action.option_strings[-1]
    if action.nargs == 0 and isinstance(value, bool):
        return [flag] if value else []
    is_count = isinstance(action.const, type(None)) and action.nargs == 0
    if action.nargs == 0 and is_count and isinstance(value, int) and value >= 0:
        return [flag] * value
    if action.nargs == 0:
        raise ConfigurationError(f"{where}: {key}: expected true or false, got {value!r}")
    values = value if isinstance(value, list) else [value]
    if isinstance(value, list) and not isinstance(action, argparse._AppendAction):
        raise ConfigurationError(f"{where}: {key}: expected one value, got {value!r}")
    if action.metavar == "MODE" and not isinstance(value, str):  # 0o660 is 432 by now
        raise ConfigurationError(f'{where}: {key}: expected a string such as "0660", got {value!r}')
    if any(isinstance(item, bool | dict | list) for item in values):
        raise ConfigurationError(f"{where}: {key}: expected a value, got {value!r}")
    return [f"{flag}={item}" for item in values]


def _line_of(text: str, key: str) -> int:
    """Where a key or a table of the top level is; 1 if it is spelled in a way that is not recognised."""
    for number, line in enumerate(text.splitlines(), 1):
        head = _TABLE_HEAD.match(line)
        found = head or _KEY.match(line)
        if found and found[1].split(".")[0] == key:
            return number
    return 1


def _table_line(text: str, name: str, index: int, *, mentioned: str, keys: Iterable[str]) -> int:
    """Where the key is that an error is about, in one of several tables of a name; else where the table begins."""
    begin, seen = 1, -1
    head_of_error = mentioned.split(";")[0]
    about = next((key for key in keys if f"'{key}'" in head_of_error or head_of_error.startswith(f"{key}:")), None)
    for number, line in enumerate(text.splitlines(), 1):
        if head := _TABLE_HEAD.match(line):
            seen += head[1] == name
            if head[1] == name and seen == index:
                begin = number
        elif seen == index and (found := _KEY.match(line)) and found[1] == about:
            return number
    return begin
