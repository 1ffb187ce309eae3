"""Measures client libraries for Python beside each other, and the tools that list phones."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

from bench.build import BenchError, Tools
from bench.figure import Figure
from bench.load import Measured
from bench.stub import serving_stub
from tests.interop.programs import BUILD

_OURS: Final = """
from usbmux import Client
client = Client("unix:" + path)
lists = repeat(client.devices)
connects = repeat(lambda: client.connect(1, 7).close())
"""
_OURS_ASYNC: Final = """
from usbmux import AsyncClient
client = AsyncClient("unix:" + path)
async def connect():
    _reader, writer = await client.connect(1, 7)
    writer.close()
    await writer.wait_closed()
lists = asyncio.run(repeat_async(client.devices))
connects = asyncio.run(repeat_async(connect))
"""
_PYMOBILEDEVICE3: Final = """
from pymobiledevice3.usbmux import list_devices
async def connect(device=asyncio.run(list_devices(path))[0]):
    (await device.connect(7, path)).close()
lists = asyncio.run(repeat_async(lambda: list_devices(path)))
connects = asyncio.run(repeat_async(connect))
"""
_FRAME: Final = """
import asyncio, json, sys, time
path, seconds = sys.argv[1], float(sys.argv[2])
def repeat(once):
    count, begin = 0, time.monotonic()
    while time.monotonic() < begin + seconds:
        once()
        count += 1
    return count / (time.monotonic() - begin)
async def repeat_async(once):
    count, begin = 0, time.monotonic()
    while time.monotonic() < begin + seconds:
        await once()
        count += 1
    return count / (time.monotonic() - begin)
{}
print(json.dumps({{"lists": lists, "connects": connects}}))
"""
_INTERPRETER: Final = BUILD / "pymobiledevice3/bin/python"

LIBRARY_FIGURES: Final = (
    Figure("lists", "/s", is_more_better=True, ratio_target=1.0, digits=0),
    Figure("connects", "/s", is_more_better=True, ratio_target=1.0, digits=0),
)
TOOL_FIGURES: Final = (Figure("list", "ms", digits=0),)


def measure_libraries(
    tools: Tools, rounds: int, seconds: float, say: Callable[[str], None]
) -> dict[str, list[Measured]]:
    """Lists and connects per second; ours first."""
    scripts = {"usbmux": (sys.executable, _OURS), "usbmux, async": (sys.executable, _OURS_ASYNC)}
    if _INTERPRETER.is_file():
        scripts["pymobiledevice3"] = (str(_INTERPRETER), _PYMOBILEDEVICE3)
    found: dict[str, list[Measured]] = {name: [] for name in scripts}
    with serving_stub(tools) as path:
        for number in range(rounds):
            for name, (interpreter, script) in scripts.items():
                say(f"round {number + 1} of {rounds}: {name}")
                command = [interpreter, "-c", _FRAME.format(script), str(path), str(seconds)]
                done = subprocess.run(command, capture_output=True, text=True, timeout=120)
                if done.returncode != 0:
                    raise BenchError(f"{name}: {done.stderr[-1000:]}")
                found[name].append(cast(Measured, json.loads(done.stdout)))
    return found


def measure_tools(tools: Tools, rounds: int, say: Callable[[str], None]) -> dict[str, list[Measured]]:
    """Milliseconds from the start of a command that lists the phones to its end; ours first."""
    commands = {
        "usbmux list": [str(Path(sys.executable).with_name("usbmux")), "list"],
        "idevice_id -l": [shutil.which("idevice_id") or "", "-l"],
        "pymobiledevice3 usbmux list": [str(_INTERPRETER.with_name("pymobiledevice3")), "usbmux", "list", "--simple"],
    }
    present = {name: command for name, command in commands.items() if Path(command[0]).is_file()}
    found: dict[str, list[Measured]] = {name: [] for name in present}
    with serving_stub(tools) as path:
        for number in range(rounds):
            for name, command in present.items():
                say(f"round {number + 1} of {rounds}: {name}")
                spelling = f"UNIX:{path}" if name.startswith("idevice") else str(path)
                began = time.monotonic()
                environment = os.environ | {"USBMUXD_SOCKET_ADDRESS": spelling}
                subprocess.run(command, check=True, capture_output=True, env=environment, timeout=60)
                found[name].append({"list": (time.monotonic() - began) * 1e3})
    return found
