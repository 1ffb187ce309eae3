"""A daemon in C that costs next to nothing, for measuring what stands between it and a client."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.build import Tools


@contextmanager
def serving_stub(tools: Tools) -> Iterator[Path]:
    """Runs bench/loadgen/serve.c; yields the path of its socket."""
    with tempfile.TemporaryDirectory(prefix="bench", dir="/tmp") as folder:
        path = Path(folder) / "usbmuxd"
        daemon = subprocess.Popen([str(tools.load), "serve", f"socket={path}"])
        try:
            while not path.exists():
                time.sleep(0.01)
            yield path
        finally:
            daemon.terminate()
            daemon.wait()
