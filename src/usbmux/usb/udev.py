"""Whether libusb will be told when something is plugged in; on Linux it is udev that tells it, over netlink."""

import os
import sys
from pathlib import Path
from typing import Final

_CONTROL_SOCKET: Final = "/run/udev/control"
_NETLINK_TABLE: Final = Path("/proc/self/net/netlink")
_USER_NAMESPACE: Final = Path("/proc/self/uid_map")
_WHOLE_NAMESPACE: Final = ("0", "0", str(2**32 - 1))
_UEVENT_PROTOCOL: Final = 15
_KERNEL_GROUP: Final = 1


def does_udev_run() -> bool:
    """Whether there are udev's files; a container may show them and yet hear nothing of udev."""
    # Other systems tell libusb themselves.
    return not sys.platform.startswith("linux") or os.access(_CONTROL_SOCKET, os.F_OK)


def is_udev_heard() -> bool:
    """Whether udev runs where we can hear it: in our network namespace, and as the root of our user namespace."""
    if not sys.platform.startswith("linux"):
        return True
    try:
        namespace = _USER_NAMESPACE.read_text().split()
        table = _NETLINK_TABLE.read_text().splitlines()
    except OSError:
        return False
    return tuple(namespace) == _WHOLE_NAMESPACE and any(_listens_to_kernel(line.split()) for line in table[1:])


def _listens_to_kernel(socket: list[str]) -> bool:
    """Whether that is what udev does, which hears the kernel and tells others. Columns: proc_net_netlink(5)."""
    _address, protocol, _port, groups, *_ = socket
    return int(protocol) == _UEVENT_PROTOCOL and bool(int(groups, 16) & _KERNEL_GROUP)
