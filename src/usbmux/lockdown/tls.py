"""The computer's end of TLS with a phone: bytes in, bytes out."""

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from usbmux.errors import DeviceResetError, NotPairedError, RemoteProtocolError, UsbmuxError
from usbmux.lockdown.pair_record import PairRecord
from usbmux.lockdown.public_key import der_of, public_key_of

CHUNK_LENGTH: Final = 65536
"""Most that is encrypted or decrypted at once, in bytes."""


class TlsSession:
    """TLS on one connection, which the caller carries.

    The phone proves that it has the private key for the device certificate of the record: nobody else can, because
    that key never leaves the phone. Names and validity are not looked at; the certificates have no names, and whether
    the computer's clock is right has nothing to do with who the phone is.

    Args:
        record: Of the pairing.

    Raises:
        NotPairedError: Its certificates or keys cannot be used.
        UsbmuxError: The system has nothing left to do that with.
    """

    def __init__(self, record: PairRecord) -> None:
        self._expected_key = public_key_of(der_of(record.device_certificate))
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = _client_context(record).wrap_bio(self._incoming, self._outgoing)

    def handshake(self) -> bool:
        """Go on with the handshake; whether it is done. Then or else, send what there is to send.

        Raises:
            NotPairedError: The phone refuses this computer, or is not the phone that was paired.
            RemoteProtocolError: What came is not TLS.
            DeviceResetError: The phone has ended the connection.
        """
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLEOFError as error:
            raise DeviceResetError("the phone ended the connection amid the handshake of TLS") from error
        except ssl.SSLError as error:
            raise _translated(error) from error
        certificate = self._object.getpeercert(binary_form=True)
        if certificate is None or public_key_of(certificate) != self._expected_key:
            raise NotPairedError("the phone has another key than the one that was paired")
        return True

    def receive_data(self, data: bytes) -> None:
        """Take what the phone has sent; ``b""`` is the end."""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def data_to_send(self) -> bytes:
        """What the phone is to be sent now."""
        return self._outgoing.read()

    def read(self, n: int) -> bytes | None:
        """At most `n` bytes of what the phone has said; None if more has to come, ``b""`` at the end.

        Raises:
            NotPairedError: The phone refuses this computer, which it may say after the handshake.
            RemoteProtocolError: What came is not TLS.
        """
        try:
            return self._object.read(n)
        except ssl.SSLWantReadError:
            return None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""
        except ssl.SSLError as error:
            raise _translated(error) from error

    def write(self, data: bytes | memoryview) -> None:
        """Encrypt what the phone is told, at most `CHUNK_LENGTH` bytes.

        Raises:
            RemoteProtocolError: What came before is not TLS.
        """
        try:
            self._object.write(data)
        except ssl.SSLError as error:
            raise _translated(error) from error


def _translated(error: ssl.SSLError) -> NotPairedError | RemoteProtocolError:
    reason = error.reason or str(error)
    if "ALERT" in reason:
        return NotPairedError(f"the phone does not accept the pair record (TLS: {reason})")
    return RemoteProtocolError(f"TLS: {reason}")


def _client_context(record: PairRecord) -> ssl.SSLContext:
    """The host certificate is shown: it is what its key was made for, and the root's key can stay unused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # see `TlsSession`: the key is compared instead
    # Phones before iOS 10 know TLS 1.0 and nothing newer; the others choose what is best.
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    # Some programs sign with SHA-1, and a machine's policy against it would lock their pairings out.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    try:
        with _as_file(record.host_certificate.rstrip(b"\0\n") + b"\n" + record.host_private_key) as path:
            context.load_cert_chain(path, password="")
    except (ssl.SSLError, ValueError) as error:
        raise NotPairedError(f"a pair record with certificates or keys that cannot be used: {error}") from error
    except OSError as error:  # such as no descriptor left
        raise UsbmuxError(f"cannot use a pair record: {error.strerror}") from error
    return context


@contextmanager
def _as_file(secret: bytes) -> Iterator[str]:
    """A file that holds it: `ssl` reads keys from nowhere else. In memory where that is possible."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("usbmux-pair-record")
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            file.write(secret)
            yield f"/proc/self/fd/{descriptor}"
    else:
        with tempfile.TemporaryDirectory(prefix="usbmux-") as directory:  # which is for this user alone
            path = Path(directory, "pair-record")
            path.write_bytes(secret)
            yield str(path)
