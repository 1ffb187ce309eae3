"""How the phone does TLS with one host."""

import ssl
import tempfile
import warnings
from pathlib import Path

from usbmux.errors import RemoteProtocolError
from usbmux.testing.iphone.certificates import DeviceKey, is_issued_by
from usbmux.testing.iphone.faults import TlsOptions
from usbmux.testing.iphone.hosts import HostRecord


def server_context(record: HostRecord, key: DeviceKey, options: TlsOptions) -> ssl.SSLContext:
    """Make the context for connections of the host that `record` describes.

    Raises:
        RemoteProtocolError: Its certificates cannot be used, or its device certificate is for another key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with warnings.catch_warnings():
        # Phones speak versions that nobody should use, with hosts that know no other.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = options.minimum_version
        context.maximum_version = options.maximum_version
    # Hosts sign with SHA-1, and a machine's policy against it would say nothing about them.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.options |= ssl.OP_NO_RENEGOTIATION
    if options.key_log is not None:
        context.keylog_filename = str(options.key_log)
    try:
        device_certificate = ssl.DER_cert_to_PEM_cert(_der(record.device_certificate)).encode()
        _load_chain(context, device_certificate, key)
        if options.own_certificate:
            _load_chain(context, key.self_signed_certificate(), key)
        _trust_host(context, record)
    except (ValueError, ssl.SSLError) as error:
        raise RemoteProtocolError(f"a pair record with unusable certificates: {error}") from error
    if not options.authenticates_host:
        context.verify_mode = ssl.CERT_NONE
    return context


def is_of_host(certificate: bytes | None, record: HostRecord) -> bool:
    """Whether a certificate that was presented (DER) is one of the two that a host may present."""
    return certificate in (_der(record.host_certificate), _der(record.root_certificate))


def check_issuer(record: HostRecord) -> None:
    """Find out whether what a host says of itself and of the phone comes from its root.

    Raises:
        RemoteProtocolError: Something else has signed one of its certificates.
    """
    root = _der(record.root_certificate)
    for name, certificate in (("device", record.device_certificate), ("host", record.host_certificate)):
        if not is_issued_by(_der(certificate), root):
            raise RemoteProtocolError(f"a pair record whose {name} certificate its root has not issued")


def _trust_host(context: ssl.SSLContext, record: HostRecord) -> None:
    context.verify_mode = ssl.CERT_REQUIRED
    # Some hosts present their root, some the certificate below it. Subjects and issuers are all empty, so OpenSSL takes
    # both for self-signed; with the flag each of them is an anchor by itself.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    for certificate in (record.root_certificate, record.host_certificate):
        context.load_verify_locations(cadata=_der(certificate))


def _load_chain(context: ssl.SSLContext, certificate: bytes, key: DeviceKey) -> None:
    with tempfile.TemporaryDirectory(prefix="usbmux-") as directory:  # there is no way around files
        certificate_file, key_file = Path(directory, "certificate"), Path(directory, "key")
        certificate_file.write_bytes(certificate)
        key_file.write_bytes(key.private_pem)
        context.load_cert_chain(certificate_file, key_file, password="")


def _der(certificate: bytes) -> bytes:
    return ssl.PEM_cert_to_DER_cert(certificate.decode("ascii").strip())
