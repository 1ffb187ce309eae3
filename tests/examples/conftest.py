from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.interop.sshd import SshServer, start_sshd

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def ssh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    server = start_sshd(tmp_path_factory.mktemp("sshd"))
    yield server
    server.process.stop()
