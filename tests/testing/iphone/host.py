"""A host in a few lines: its certificates, and enough of a client of lockdown to script a phone."""

import datetime
import socket
import ssl
import tempfile
import uuid
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from usbmux.control.property_list import dump, load
from usbmux.testing.iphone.hosts import HostRecord

DAY = datetime.timedelta(days=1)
NOBODY = x509.Name([])
SOMEBODY = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody")])


@cache
def key(name: str) -> rsa.RSAPrivateKey:
    """A private key, the same for the same name: making one takes time."""
    return rsa.generate_private_key(65537, 2048)


class TestHost:
    """A computer that pairs; its certificates have neither subject nor issuer, as those of real hosts."""

    __test__ = False

    def __init__(self, name: str = "host") -> None:
        self.host_id = str(uuid.uuid5(uuid.NAMESPACE_DNS, name)).upper()
        self.system_buid = str(uuid.uuid5(uuid.NAMESPACE_URL, name)).upper()
        self._name = name

    @cached_property
    def root_certificate(self) -> bytes:
        return self._issue(self._root_key.public_key(), is_authority=True)

    @cached_property
    def host_certificate(self) -> bytes:
        return self._issue(self._host_key.public_key())

    @property
    def _root_key(self) -> rsa.RSAPrivateKey:
        return key(f"{self._name} root")

    @property
    def _host_key(self) -> rsa.RSAPrivateKey:
        return key(f"{self._name} host")

    def pair_record(self, device_public_key: bytes) -> dict[str, object]:
        """What is sent to the phone with that public key (PKCS#1 in PEM)."""
        public_key = serialization.load_pem_public_key(device_public_key)
        assert isinstance(public_key, rsa.RSAPublicKey)
        return {
            "DeviceCertificate": self._issue(public_key),
            "HostCertificate": self.host_certificate,
            "HostID": self.host_id,
            "RootCertificate": self.root_certificate,
            "SystemBUID": self.system_buid,
        }

    def record(self, device_public_key: bytes) -> HostRecord:
        return HostRecord.from_properties(self.pair_record(device_public_key))

    def context(self, presents: str = "host") -> ssl.SSLContext:
        """A client's.

        Args:
            presents: Which certificate it shows: "host", "root", "none", or "another" that its root has issued too.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if presents == "none":
            return context
        private, certificate = {
            "host": (self._host_key, self.host_certificate),
            "root": (self._root_key, self.root_certificate),
            "another": (self._host_key, self._issue(self._host_key.public_key(), subject=SOMEBODY)),
        }[presents]
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "pem")
            path.write_bytes(certificate + pem)
            context.load_cert_chain(path)
        return context

    def _issue(self, public_key: rsa.RSAPublicKey, *, is_authority: bool = False, subject: x509.Name = NOBODY) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(NOBODY, subject, public_key, 1, now - DAY, now + DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        return builder.sign(self._root_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class LockdownClient:
    """A connection to lockdown, or to another service that speaks property lists."""

    def __init__(self, stream: socket.socket) -> None:
        self.stream = stream

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()

    def send(self, properties: Mapping[str, object]) -> None:
        payload = dump(properties)
        self.stream.sendall(len(payload).to_bytes(4) + payload)

    def receive(self) -> Mapping[object, object]:
        return load(self.receive_exactly(int.from_bytes(self.receive_exactly(4))))

    def request(self, name: str, **fields: object) -> Mapping[object, object]:
        self.send({"Label": "test", "Request": name, **fields})
        return self.receive()

    def receive_exactly(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            piece = self.stream.recv(length - len(data))
            assert piece, f"the phone has ended {length - len(data)} bytes short"
            data += piece
        return data

    def value(self, key: str, **fields: object) -> object:
        return self.request("GetValue", Key=key, **fields)["Value"]

    def pair(self, host: TestHost) -> Mapping[object, object]:
        public_key = self.value("DevicePublicKey")
        assert isinstance(public_key, bytes)
        return self.request("Pair", PairRecord=host.pair_record(public_key), ProtocolVersion="2")

    def start_session(self, host: TestHost, presents: str = "host") -> str:
        """Returns the session's id, inside TLS."""
        reply = self.request("StartSession", HostID=host.host_id, SystemBUID=host.system_buid)
        assert reply["EnableSessionSSL"] is True
        self.start_tls(host.context(presents))
        session_id = reply["SessionID"]
        assert isinstance(session_id, str)
        return session_id

    def start_tls(self, context: ssl.SSLContext) -> None:
        self.stream = context.wrap_socket(self.stream, suppress_ragged_eofs=False)

    def stop_tls(self) -> None:
        assert isinstance(self.stream, ssl.SSLSocket)
        self.stream = self.stream.unwrap()
