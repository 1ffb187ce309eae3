"""Where a daemon listens: every spelling that some program understands, and our own.

Rules C39 to C42 of docs/protocol/control.md. Nothing is opened or looked up here.
"""

import re
import sys
from collections.abc import Mapping
from typing import Final

from usbmux.errors import AddressError
from usbmux.values import frozen

ENVIRONMENT_VARIABLE: Final = "USBMUXD_SOCKET_ADDRESS"
_MAX_PORT: Final = 65535
_MAX_LABEL_LENGTH: Final = 63
# Compiled when they are needed, and kept by `re`: most programs that start never read an address.
_SCHEME: Final = r"(?is)(unix|tcp):(?://)?(.*)"
_OTHER_SCHEME: Final = r"[A-Za-z][A-Za-z0-9+.-]*://"
_ENDPOINT: Final = r"(?:\[(?P<v6>[^\[\]\s]+)\]|(?P<host>[^\[\]:/\\\s\0]+)):(?P<port>[0-9]{1,5})"


@frozen
class UnixAddress:
    """A Unix domain socket."""

    path: str

    def __str__(self) -> str:
        slashes = "//" if self.path.startswith("//") else ""
        return f"unix:{slashes}{self.path}"


@frozen
class TcpAddress:
    """A TCP endpoint."""

    host: str
    """A name or a numeric address, that of version 6 without brackets."""
    port: int
    """0 to 65535; 0 lets a daemon choose."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


Address = UnixAddress | TcpAddress


def parse_address(text: str) -> Address:
    """Read an address in any spelling.

    These are ``/path``, a relative path with a slash in it, ``unix:/path``, ``unix:///path``, ``host:port``,
    ``[v6]:port``, ``tcp:host:port`` and ``tcp://host:port``; ``UNIX`` and ``TCP`` mean the same.

    Raises:
        AddressError: It is none of these.
    """
    match = re.fullmatch(_SCHEME, text)
    if match:
        scheme, rest = match.groups()
        return _parse_path(rest) if scheme.lower() == "unix" else _parse_endpoint(rest)
    if re.match(_OTHER_SCHEME, text):
        raise AddressError(f"{text!r}: the scheme of an address is unix or tcp")
    return _parse_path(text) if "/" in text else _parse_endpoint(text)


def parse_host(text: str) -> str:
    """Read the name or the numeric address of a computer; that of IP version 6 may stand in brackets.

    Raises:
        AddressError: It is none of these.
    """
    if text.startswith("[") and text.endswith("]"):
        return _check_v6(text[1:-1])
    return _check_v6(text) if ":" in text else _check_name(text)


def bound_address(name: object) -> Address:
    """The address of a socket by what its `getsockname` says.

    A socket of Linux that has a name and no file is written ``@name``, as systemd and ss(8) do.

    Raises:
        AddressError: It has no name.
    """
    match name:
        case (str(host), int(port), _, int(network)) if network:  # an address of IP version 6 that is good there only
            return TcpAddress(f"{host}%{network}", port)
        case (str(host), int(port), *_):
            return TcpAddress(host, port)
        case bytes():
            return UnixAddress(name.replace(b"\0", b"@").decode(errors="backslashreplace"))
        case _:
            return _parse_path(str(name))


def default_address(platform: str = sys.platform) -> Address:
    """Where the daemon of that `sys.platform` listens when nobody says otherwise."""
    return TcpAddress("127.0.0.1", 27015) if platform == "win32" else UnixAddress("/var/run/usbmuxd")


def address_from_environment(environ: Mapping[str, str], platform: str = sys.platform) -> Address:
    """The address in USBMUXD_SOCKET_ADDRESS, or the default where that is unset or empty.

    Raises:
        AddressError: The variable holds no address.
    """
    text = environ.get(ENVIRONMENT_VARIABLE)
    if not text:
        return default_address(platform)
    try:
        return parse_address(text)
    except AddressError as error:
        raise AddressError(f"{ENVIRONMENT_VARIABLE}: {error}") from error


def _parse_path(path: str) -> UnixAddress:
    # Bytes that are not UTF-8 come from the environment as surrogates; any other surrogate stands for nothing.
    if not path or "\0" in path or not _can_encode(path, "utf-8", "surrogateescape"):
        raise AddressError(f"{path!r} is no path of a socket")
    return UnixAddress(path)


def _parse_endpoint(text: str) -> TcpAddress:
    match = re.fullmatch(_ENDPOINT, text)
    if not match:
        raise AddressError(f"{text!r}: {_explain(text)}")
    port = int(match["port"])
    if port > _MAX_PORT:
        raise AddressError(f"{text!r}: a port is at most {_MAX_PORT}")
    return TcpAddress(_check_name(match["host"]) if match["host"] else _check_v6(match["v6"]), port)


def _check_name(host: str) -> str:
    """What no system looks up is refused here: IDNA (RFC 3490, section 4) bounds each label, also of what is ASCII."""
    if host.isascii():  # without the codec, which takes long to import
        is_name = all(0 < len(label) <= _MAX_LABEL_LENGTH for label in host.removesuffix(".").split("."))
    else:
        is_name = _can_encode(host, "idna")
    if not is_name:
        raise AddressError(f"{host!r} is no name of a computer")
    return host


def _check_v6(host: str) -> str:
    import ipaddress  # here, because hardly any address is one

    try:
        ipaddress.IPv6Address(host)
    except ValueError as error:
        raise AddressError(f"{host!r} is no address of IP version 6") from error
    return host


def _can_encode(text: str, encoding: str, errors: str = "strict") -> bool:
    try:
        text.encode(encoding, errors)
    except UnicodeError:
        return False
    return True


def _explain(text: str) -> str:
    if not text:
        return "an address is a path such as /var/run/usbmuxd, or host:port"
    if ":" not in text:
        return "a port is missing (host:port), or a slash if it is a path (./name)"
    if text.count(":") > 1 and "[" not in text:
        return "an address of IP version 6 goes in brackets ([::1]:27015)"
    return "expected host:port with a decimal port, or a path with a slash in it"
