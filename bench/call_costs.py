"""What it costs to call a function of libusb with one pointer: through ctypes, and through cffi in API mode."""

import json
import os
import subprocess
from pathlib import Path
from typing import Final, cast

from bench.build import BenchError, Tools
from bench.environment import tool_program

# A transfer that is not in flight cannot be cancelled: the call does nothing, and has the same arguments as a submit.
_PROGRAM: Final = """
import ctypes, json, sys, time, usb1
from cffi import FFI
folder, library = sys.argv[1:]
ffi = FFI()
ffi.cdef("int libusb_cancel_transfer(void *transfer);")
ffi.set_source("_bench_cancel", "int libusb_cancel_transfer(void *transfer);", extra_link_args=[library])
sys.path.insert(0, folder)
ffi.compile(tmpdir=folder)
from _bench_cancel import lib
usb1.loadLibrary()
pointer = usb1.libusb1.libusb_alloc_transfer(0)
typed = usb1.libusb1.libusb_cancel_transfer
address = ctypes.addressof(pointer.contents)
plain = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(ctypes.cast(typed, ctypes.c_void_p).value)
ways = [
    ("ctypes, types of the binding", typed, pointer),
    ("ctypes, an address", plain, address),
    ("cffi in API mode", lib.libusb_cancel_transfer, ffi.cast("void *", address)),
]
def cost(function, argument, count=200000):
    began = time.process_time()
    for _ in range(count):
        function(argument)
    return (time.process_time() - began) / count * 1e9
print(json.dumps({name: min(cost(function, argument) for _ in range(5)) for name, function, argument in ways}))
"""


def call_costs(tools: Tools, folder: Path) -> dict[str, float]:
    """Nanoseconds of a call in each way, with the loop around it.

    Raises:
        BenchError: cffi's module cannot be compiled.
    """
    command = [tool_program("python"), "-c", _PROGRAM, str(folder), str(tools.fake_library)]
    environment = os.environ | {"LD_PRELOAD": str(tools.fake_library)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)
    if done.returncode != 0:
        raise BenchError(f"cffi: {done.stderr[-2000:]}")
    return cast(dict[str, float], json.loads(done.stdout.splitlines()[-1]))
