from __future__ import annotations

import json
import logging
import os
import stat
from typing import TYPE_CHECKING, Protocol

import pytest

from usbmux.commands.logs import FORMATS, Log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "usbmux.test"


class StartsLog(Protocol):
    def __call__(self, form: str, path: Path, verbosity: int = 1) -> Log: ...


@pytest.fixture
def start_log() -> Iterator[StartsLog]:
    """Starts logs, and ends them."""
    level = logging.getLogger().level
    logs: list[Log] = []

    def start(form: str, path: Path, verbosity: int = 1) -> Log:
        logs.append(Log(form, path))
        logs[-1].start(verbosity)
        return logs[-1]

    yield start
    for log in logs:
        log.close()
    logging.getLogger().setLevel(level)


def written(start_log: StartsLog, path: Path, form: str, message: str) -> str:
    start_log(form, path)
    logging.getLogger(NAME).info("%s", message)
    logging.getLogger(NAME).debug("a detail")
    return path.read_text()


def test_text_is_for_people(start_log: StartsLog, tmp_path: Path) -> None:
    line = written(start_log, tmp_path / "log", "text", "client 1: gone")
    assert line.endswith(" INFO usbmux.test: client 1: gone\n")
    assert line.count("\n") == 1


def test_logfmt_quotes_what_needs_it(start_log: StartsLog, tmp_path: Path) -> None:
    line = written(start_log, tmp_path / "log", "logfmt", 'said "a\nb"')
    assert line.split(" ", 1)[1] == 'level=info logger=usbmux.test message="said \\"a\\nb\\""\n'
    assert line.startswith("time=20")
    assert line.split(" ")[0].endswith("Z")


def test_json_is_one_object_a_line(start_log: StartsLog, tmp_path: Path) -> None:
    fields = json.loads(written(start_log, tmp_path / "log", "json", "zwei\nZeilen"))
    assert {key: fields[key] for key in ("level", "logger", "message")} == {
        "level": "info",
        "logger": NAME,
        "message": "zwei\nZeilen",
    }


def test_journald_every_line_has_its_priority(start_log: StartsLog, tmp_path: Path) -> None:
    assert written(start_log, tmp_path / "log", "journald", "one\ntwo") == "<6>usbmux.test: one\n<6>two\n"


@pytest.mark.parametrize(
    ("verbosity", "levels"),
    [(0, ["WARNING"]), (1, ["INFO", "WARNING"]), (2, ["DEBUG", "INFO", "WARNING"]), (9, ["DEBUG", "INFO", "WARNING"])],
)
def test_verbosity(start_log: StartsLog, tmp_path: Path, verbosity: int, levels: list[str]) -> None:
    start_log("json", tmp_path / "log", verbosity)
    for level in (logging.DEBUG, logging.INFO, logging.WARNING):
        logging.getLogger(NAME).log(level, "x")
    lines = (tmp_path / "log").read_text().splitlines()
    assert [json.loads(line)["level"].upper() for line in lines] == levels


def test_file_moved_away_reopen_goes_on_in_a_new_one(start_log: StartsLog, tmp_path: Path) -> None:
    path, moved = tmp_path / "log", tmp_path / "log.1"
    log = start_log("text", path, 0)
    logging.getLogger(NAME).warning("first")
    path.rename(moved)
    logging.getLogger(NAME).warning("second")
    log.reopen()
    logging.getLogger(NAME).warning("third")
    assert [line.split(": ")[1] for line in moved.read_text().splitlines()] == ["first", "second"]
    assert path.read_text().endswith("third\n")


def test_file_is_not_for_everybody_and_not_followed(start_log: StartsLog, tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        start_log("text", tmp_path / "log")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o640
    (tmp_path / "link").symlink_to(tmp_path / "bait")
    with pytest.raises(OSError, match="symbolic"):
        start_log("text", tmp_path / "link")
    assert not (tmp_path / "bait").exists()


def test_every_format_has_a_formatter() -> None:
    for form in FORMATS:
        Log(form, None)
