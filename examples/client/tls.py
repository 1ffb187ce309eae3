"""Speaks TLS with a server on the phone. Arguments: the port, the server's name, a file with whom to trust."""

import ssl
import sys

from usbmux import Client

port, name, authorities = sys.argv[1:]
context = ssl.create_default_context(cafile=authorities)
with Client().connect(None, int(port)) as plain, context.wrap_socket(plain, server_hostname=name) as sock:
    print(sock.version())
    sock.sendall(b"hello\n")
    print(sock.recv(64).decode(), end="")
