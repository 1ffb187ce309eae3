"""Runs a command on the phone with asyncssh. Arguments: the user and the command."""

import asyncio
import sys
from pathlib import Path

import asyncssh

from usbmux import AsyncClient


async def main(user: str, command: str) -> None:
    known = asyncssh.read_known_hosts(str(Path.home() / ".ssh/known_hosts"))
    sock = await AsyncClient().connect_socket(None, 22)
    async with asyncssh.connect(
        "iphone",
        sock=sock,
        username=user,
        # The other end of the socket is the daemon's, perhaps a path: the name alone says whose key it must be.
        known_hosts=lambda host, address, port: known.match(host, "", port),
    ) as connection:
        done = await connection.run(command, check=True)
    print(done.stdout, end="")


asyncio.run(main(*sys.argv[1:]))
