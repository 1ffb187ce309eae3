"""How many reads of which size should be in flight? Prints CPU and rate of the daemon, phone to host.

    python -m bench.transfers [--rounds N] [--mebibytes N]

The real daemon process runs on the real libusb over the preloaded usbfs of tests/usb/usbfs, whose devices live in this
process. So the rate is that of this process, not of any bus; what tells is the CPU of the daemon. All variants take
turns in each round; medians are printed, with the range in brackets.
"""

import argparse
import asyncio
import os
import resource
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.usb.usbfs.device import device_of_function
from tests.usb.usbfs.host import UsbfsHost, build_preload, environment
from usbmux.client.aio import AsyncClient
from usbmux.errors import DeviceNotFoundError
from usbmux.testing import PhoneOptions, SimulatedPhone, source

VARIANTS = ("3x16384", "8x16384", "16x16384", "4x32768", "8x65536")
PACKETS = (1460, 16000, 65000)


async def measure(preload: Path, variant: str, packet: int, length: int) -> tuple[float, float]:
    """CPU seconds per GiB of the daemon, and MB/s."""
    phone = SimulatedPhone(ports={1: source}, options=PhoneOptions(max_segment=packet))
    with tempfile.TemporaryDirectory(prefix="bench") as name:
        directory = Path(name)
        host = UsbfsHost()
        await host.start(directory / "usbfs")
        host.plug(device_of_function(phone))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        daemon = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "usbmux.commands.usbmuxd", "-f", "--reads", variant),
            *("-S", str(directory / "usbmuxd"), "-C", str(directory / "records")),
            env=os.environ | environment(preload, directory / "usbfs"),
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            assert daemon.stderr is not None
            await daemon.stderr.readline()
            elapsed = await receive(AsyncClient(f"unix:{directory}/usbmuxd"), length)
        finally:
            daemon.terminate()
            await daemon.wait()
            await host.close()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, length / elapsed / 1e6


async def receive(client: AsyncClient, length: int) -> float:
    """Seconds that `length` bytes take."""
    sock = await dial(client)
    loop = asyncio.get_running_loop()
    buffer = bytearray(1 << 18)
    started = time.perf_counter()
    with sock:
        await loop.sock_sendall(sock, length.to_bytes(8))
        left = length
        while left and (count := await loop.sock_recv_into(sock, buffer)):
            left -= count
    assert left == 0, "the stream ended early"
    return time.perf_counter() - started


async def dial(client: AsyncClient) -> socket.socket:
    """A connection to the phone, as soon as it is there."""
    while True:
        try:
            return await client.connect_socket(None, 1)
        except DeviceNotFoundError:
            await asyncio.sleep(0.05)


async def run(rounds: int, length: int) -> None:
    """Measure all variants and print the table."""
    with tempfile.TemporaryDirectory(prefix="bench") as name:
        preload = build_preload(Path(name))
        if preload is None:
            sys.exit("a C compiler is missing")
        start = statistics.median([(await measure(preload, "8x16384", 16000, 1 << 20))[0] for _ in range(3)])
        found: dict[tuple[int, str], list[tuple[float, float]]] = {}
        for _ in range(rounds):
            for packet in PACKETS:
                for variant in VARIANTS:
                    cpu, rate = await measure(preload, variant, packet, length)
                    found.setdefault((packet, variant), []).append(((cpu - start) * (1 << 30) / length, rate))
    print(f"{rounds} rounds of {length >> 20} MiB; start-up ({start:.2f} s) taken off")
    print("packet  reads      CPU s/GiB            MB/s")
    for (packet, variant), values in sorted(found.items()):
        cpus, rates = zip(*values, strict=True)
        print(f"{packet:6}  {variant:9}  {spread(cpus, 2):19}  {spread(rates, 0)}")


def spread(values: tuple[float, ...], digits: int) -> str:
    """The median, and the range."""
    return f"{statistics.median(values):.{digits}f} [{min(values):.{digits}f}-{max(values):.{digits}f}]"


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mebibytes", type=int, default=256)
    options = parser.parse_args()
    asyncio.run(run(options.rounds, options.mebibytes << 20))


if __name__ == "__main__":
    main()
