from __future__ import annotations

import errno
import json
import logging
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from usbmux.commands.logs import FORMATS, Log
from usbmux.daemon.complaints import Complaints
from usbmux.daemon.peer import Peer

if TYPE_CHECKING:
    from collections.abc import Iterator

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


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="plays a full disk")
def test_disk_is_full_that_is_said_once_and_the_log_can_be_ended(
    start_log: StartsLog, capsys: pytest.CaptureFixture[str]
) -> None:
    log = start_log("text", Path("/dev/full"))
    for number in range(3):
        logging.getLogger(NAME).warning("line %d", number)
    log.close()
    said = capsys.readouterr().err
    assert said == "the log cannot be written, and lines are lost: [Errno 28] No space left on device\n"


@pytest.mark.parametrize("form", ["json", "logfmt"])
def test_line_about_a_client_tells_who_it_is_in_fields_of_their_own(
    start_log: StartsLog, tmp_path: Path, form: str
) -> None:
    start_log(form, tmp_path / "log")
    complaints = Complaints(lambda: 0.0)
    complaints.warn(Peer(uid=1000, gid=100, pid=os.getpid()), "client 7: refused", client=7)
    line = (tmp_path / "log").read_text()
    program = Path("/proc/self/comm").read_text().strip()
    if form == "json":
        told = json.loads(line)
        assert [told[name] for name in ("client", "uid", "gid", "pid")] == [7, 1000, 100, os.getpid()]
        assert told["message"] == "client 7: refused"
    else:
        assert f' message="client 7: refused" client=7 uid=1000 gid=100 pid={os.getpid()} program={program}' in line


LIMITED = """
import logging, os, resource, sys
from pathlib import Path
from usbmux.commands.logs import Log
path = Path(sys.argv[1])
log = Log("text", path)
log.start(1)
resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))  # of this process alone
logging.warning("x" * 300)
path.unlink()
log.reopen()
logging.warning("after")
links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
print([link for link in links if os.path.lexists(link) and "deleted" in os.readlink(link)])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells which files are open")
def test_disk_was_full_and_the_file_is_removed_reopening_goes_on_in_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "log"
    child = subprocess.run(
        [sys.executable, "-c", LIMITED, path], capture_output=True, text=True, timeout=30, check=False
    )
    assert (child.returncode, child.stdout) == (0, "[]\n")
    assert path.read_text().endswith("WARNING root: after\n")
    assert child.stderr == "the log cannot be written, and lines are lost: [Errno 27] File too large\n"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such pipes")
def test_pipe_is_read_by_nobody_any_more_reopening_fails_and_does_not_wait(
    start_log: StartsLog, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    log = start_log("text", path)
    logging.getLogger(NAME).info("heard")
    assert b"heard" in os.read(reader, 4096)
    os.close(reader)
    with pytest.raises(OSError, match=str(path)) as caught:
        log.reopen()
    assert caught.value.errno == errno.ENXIO
