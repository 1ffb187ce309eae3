"""What the figures were measured on."""

import os
import platform
import re
import subprocess
import sysconfig
from pathlib import Path

from bench.processors import processors_text
from bench.subject import C_PROGRAM
from usbmux import __version__


def machine_facts() -> dict[str, str]:
    """Names and values, for a reader to judge the figures by."""
    load = os.getloadavg()[0]
    return {
        "processor": _processor(),
        "processors": processors_text(),
        "kernel": platform.release(),
        "python": f"{platform.python_version()}, {_optimisation()}",
        "usbmux": f"{__version__} {_revision()}".rstrip(),
        "C": _first_version(str(C_PROGRAM)),
        "busy before": f"{load:.1f} programs" + (", so rates and times tell little" if load > 1 else ""),
    }


def _processor() -> str:
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _optimisation() -> str:
    how = sysconfig.get_config_var("CONFIG_ARGS") or ""
    return f"built {'with' if '--enable-optimizations' in how else 'without'} --enable-optimizations"


def _revision() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
    return done.stdout.strip()


def _first_version(program: str) -> str:
    variables = {"LD_LIBRARY_PATH": f"/usr/lib:{Path(program).parents[2]}/usr/lib/{platform.machine()}-linux-gnu"}
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False, env=variables)
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return f"usbmuxd {found[0]}" if found else "usbmuxd of an unknown version"
