"""Speaks TLS with a server on the phone, with asyncio. Arguments: the port, the server's name, whom to trust."""

import asyncio
import ssl
import sys

from usbmux import AsyncClient


async def main(port: int, name: str, authorities: str) -> None:
    context = ssl.create_default_context(cafile=authorities)
    sock = await AsyncClient().connect_socket(None, port)
    reader, writer = await asyncio.open_connection(sock=sock, ssl=context, server_hostname=name)
    print(writer.get_extra_info("ssl_object").version())
    writer.write(b"hello\n")
    print((await reader.readline()).decode(), end="")
    writer.close()
    await writer.wait_closed()


asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
