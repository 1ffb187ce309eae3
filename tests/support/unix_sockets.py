"""For tests of what only Unix sockets do."""

from __future__ import annotations

import socket
from typing import Final

import pytest

needs_unix_sockets: Final = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets on this system")
