"""Asks an HTTP server on the phone with Python's own client. Arguments: a path and, if it is not 80, the port."""

import sys
from http.client import HTTPConnection

from usbmux import Client


class PhoneConnection(HTTPConnection):
    """A connection to a port of the only phone, made anew whenever http.client asks for one."""

    def connect(self) -> None:
        """Open the connection that the next request goes over."""
        self.sock = Client().connect(None, self.port)
        self.sock.settimeout(30)


path, *port = sys.argv[1:]
connection = PhoneConnection("localhost", int(port[0]) if port else 80)
connection.request("GET", path)
print(connection.getresponse().read().decode(), end="")
connection.close()
