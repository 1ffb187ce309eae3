from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LIMITED = """
import resource, sys
from usbmux.commands.capture_file import opened, write_all
from usbmux.errors import UsbmuxError
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # of this process alone
with opened(sys.argv[1]) as descriptor:
    write_all(descriptor, b"x" * 60, "f")
    try:
        write_all(descriptor, b"y" * 60, "f")
    except UsbmuxError as error:
        print(error)
"""


def test_disk_becomes_full_amid_records_whole_ones_stay(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    child = subprocess.run([sys.executable, "-c", LIMITED, path], capture_output=True, text=True, check=True)
    assert (child.stdout, path.read_bytes()) == ("cannot write f: File too large\n", b"x" * 60)
