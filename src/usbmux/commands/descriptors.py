"""Which descriptors this process has from the start, how many it may have, and how many clients that allows."""

import os
import sys
from dataclasses import replace
from typing import Final

from usbmux.commands.exits import complain
from usbmux.daemon.admission import ClientLimits

RESERVED: Final = 256
"""Not for clients: phones, pair records and those who look inside must find some, however many clients there are."""
_LAST_STANDARD_STREAM: Final = 2


def hold_standard_streams() -> None:
    """Let no socket get the number of a standard stream that was closed by whoever began the program.

    What libraries in C say would go to a client, and what goes into the background would close it.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _LAST_STANDARD_STREAM:
        pass
    os.close(descriptor)


def raise_limit(program: str) -> None:
    """Every client and every stream is a descriptor; the usual soft limit of 1024 is no intention."""
    if sys.platform == "win32":  # which has no such limit
        return
    import resource

    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        complain(program, f"cannot raise the limit of open files: {error}")


def allowed_by_descriptors(limits: ClientLimits) -> ClientLimits:
    """These limits, or lower ones that leave descriptors for what is not a client."""
    if sys.platform == "win32":
        return limits
    import resource

    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return limits
    return replace(limits, total=min(limits.total, max(soft - RESERVED, soft // 2)))
