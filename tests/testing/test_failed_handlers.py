"""Handlers of a simulated phone's ports that raise something."""

import asyncio

import pytest

from tests.testing.host_script import HostConnection, plug_in
from usbmux.errors import RemoteProtocolError
from usbmux.testing import PhoneStream, PortHandler, SimulatedPhone

pytestmark = pytest.mark.asyncio


async def dial(handler: PortHandler) -> HostConnection:
    """A connection to a port with that handler."""
    host = await plug_in(SimulatedPhone(ports={5: handler}))
    return await host.connect(5)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RuntimeError("out of paper"), b"out of paper"),
        (KeyError(), b"KeyError"),
        (OSError("no file \udcff"), b"no file ?"),
        (RuntimeError("x" * 100_000), b"x" * 1024),
    ],
    ids=["text", "none", "unencodable", "long"],
)
async def test_handler_that_raises_resets_with_the_text(error: Exception, text: bytes) -> None:
    async def fail(stream: PhoneStream) -> None:
        raise error

    connection = await dial(fail)
    assert await connection.read_to_reset() == (b"", text)


@pytest.mark.parametrize(
    ("error", "is_told"),
    [
        (KeyError("a mistake"), True),
        (ConnectionResetError(), False),
        (asyncio.IncompleteReadError(b"", 1), False),
        (RemoteProtocolError("nonsense"), False),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_handler_that_raises_what_no_host_causes_is_told_to_the_loop(error: Exception, is_told: bool) -> None:
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context["exception"]))

    async def fail(stream: PhoneStream) -> None:
        raise error

    connection = await dial(fail)
    await connection.read_to_reset()
    assert told == [error] * is_told
