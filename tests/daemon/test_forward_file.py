from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING

import pytest

from usbmux.admin.forward import KeptForward
from usbmux.daemon.forward_file import FORWARDS_FILE, ForwardFile
from usbmux.daemon.pairing import PairRecordStore

if TYPE_CHECKING:
    from pathlib import Path

_FORWARDS = (KeptForward("127.0.0.1:2222", 22, "A"), KeptForward("unix:/run/ssh", 22))


def test_nothing_was_written_nothing_is_kept(tmp_path: Path) -> None:
    assert ForwardFile(tmp_path / "state").read() == ()


def test_what_was_written_is_read_and_is_the_owners_alone(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    ForwardFile(directory).write(_FORWARDS)
    assert ForwardFile(directory).read() == _FORWARDS
    assert stat.S_IMODE((directory / FORWARDS_FILE).stat().st_mode) == 0o600


def test_directory_has_it_among_pair_records_others_are_locked_out_still(tmp_path: Path) -> None:
    ForwardFile(tmp_path).write(_FORWARDS)
    os.chmod(tmp_path, 0o755)
    PairRecordStore(tmp_path).prepare()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\xff", b"[]", b"{}", b'{"forwards": 1}', b'{"forwards": [{"listen": "127.0.0.1:1", "port": 0}]}',
        b'{"forwards": [{"listen": "127.0.0.1:1", "port": 22, "owner": 5}]}', b" " * 65537,
    ],
)  # fmt: skip
def test_content_makes_no_sense_nothing_is_kept_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    (tmp_path / FORWARDS_FILE).write_bytes(content)
    assert ForwardFile(tmp_path).read() == ()
    (record,) = caplog.records
    assert record.getMessage().startswith(f"{tmp_path / FORWARDS_FILE}: no forwards are kept: ")


def test_content_is_a_link_it_is_not_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "elsewhere").write_text(json.dumps({"forwards": []}))
    (tmp_path / FORWARDS_FILE).symlink_to(tmp_path / "elsewhere")
    assert ForwardFile(tmp_path).read() == ()
    assert len(caplog.records) == 1
