"""com.apple.crashreportmover over a stream in memory."""

import pytest

from tests.testing.iphone.services.scene import served
from usbmux.testing.iphone.services.crash_report_mover import DONE, crash_report_mover


@pytest.mark.asyncio
async def test_host_that_waits_for_the_reports_told_that_they_are_there_and_over() -> None:
    async with served(crash_report_mover) as host:
        assert await host.readexactly(len(DONE)) == b"ping\0"
        assert await host.read() == b""
