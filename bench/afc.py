"""How fast does a file cross, with all that is in between? Prints rates of AFC through our daemon and Debian's.

    python -m bench.afc [--rounds N] [--mebibytes N]

The client is pymobiledevice3, unmodified; the phone is a virtual iPhone in this process, on the fake usbfs of
tests/usb/usbfs. So the rates are those of Python at both ends and of TLS, not of any bus; what tells is one daemon
beside the other, and the CPU that each takes. They take turns in each round; medians are printed, with the range in
brackets.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from bench.transfers import spread
from tests.interop.programs import BUILD
from tests.support.daemon import clean_environment
from tests.support.daemon_on_usbfs import DEBIANS, OURS, daemon_on_usbfs
from tests.usb.usbfs.host import build_preload
from usbmux.testing import PhoneOptions
from usbmux.testing.iphone import VirtualIPhone

_INTERPRETER: Final = BUILD / "pymobiledevice3/bin/python"
_COLUMNS: Final = (("push", 1), ("pull", 1), ("CPU", 2))
_LONGEST_SEGMENT: Final = 65535 - 36
_CLIENT: Final = """
import asyncio, json, os, sys, time
from pymobiledevice3.lockdown import create_using_usbmux
from pymobiledevice3.services.afc import AfcService

async def connect(path):
    while True:
        try:
            return await create_using_usbmux(usbmux_address=path)
        except Exception:
            if time.monotonic() > begin + 30:
                raise
            await asyncio.sleep(0.1)

async def main(path, length):
    data = os.urandom(length)
    async with AfcService(await connect(path)) as afc:
        times = [time.perf_counter()]
        await afc.set_file_contents("/Downloads/file", data)
        times.append(time.perf_counter())
        received = await afc.get_file_contents("/Downloads/file")
        times.append(time.perf_counter())
        await afc.rm("/Downloads/file")
    assert received == data, "another file came back"
    return {"push": length / (times[1] - times[0]) / 1e6, "pull": length / (times[2] - times[1]) / 1e6}

begin = time.monotonic()
print(json.dumps(asyncio.run(main(sys.argv[1], int(sys.argv[2])))))
"""


async def measure(preload: Path, daemon: str, length: int) -> dict[str, float]:
    """MB/s of a push and a pull, and what they and all else take of the daemon's CPU, in seconds."""
    iphone = VirtualIPhone(options=PhoneOptions(initial_sequence=0, max_segment=_LONGEST_SEGMENT))
    async with daemon_on_usbfs(daemon, preload, iphone.device) as running:
        client = await asyncio.create_subprocess_exec(
            *(_INTERPRETER, "-c", _CLIENT, str(running.socket_path), str(length)),
            env=clean_environment(HOME=str(running.socket_path.parent)),
            stdout=asyncio.subprocess.PIPE,
        )
        printed, _ = await client.communicate()
        if client.returncode:
            sys.exit(f"{daemon}: the client ended with {client.returncode}")
        figures: dict[str, float] = json.loads(printed)
        figures["CPU"] = _cpu_s(running.process.pid)
    if iphone.device.violations:
        sys.exit(f"{daemon}: {iphone.device.violations}")
    return figures


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def run(rounds: int, length: int) -> None:
    """Measure both daemons and print the table."""
    if not _INTERPRETER.is_file():
        sys.exit("pymobiledevice3 is missing; remedy: scripts/provision-interop")
    with tempfile.TemporaryDirectory(prefix="bench") as name:
        preload = build_preload(Path(name))
        if preload is None:
            sys.exit("a C compiler is missing")
        found: dict[str, list[dict[str, float]]] = {OURS: [], DEBIANS: []}
        for number in range(rounds):
            for daemon in sorted(found, reverse=number % 2 == 0):
                found[daemon].append(await measure(preload, daemon, length))
    print(f"{rounds} rounds of {length >> 20} MiB each way, equal at the end; CPU of the daemon from its start")
    print("daemon    push MB/s         pull MB/s         CPU s")
    for daemon, figures in found.items():
        cells = [spread(tuple(each[key] for each in figures), digits) for key, digits in _COLUMNS]
        print(f"{daemon:9} " + " ".join(f"{cell:17}" for cell in cells).rstrip())


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mebibytes", type=int, default=64)
    options = parser.parse_args()
    asyncio.run(run(options.rounds, options.mebibytes << 20))


if __name__ == "__main__":
    main()
