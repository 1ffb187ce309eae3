"""One connection to lockdown: requests go in, answers come out, and when TLS begins and ends."""

import uuid
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Final, Protocol, TypeVar

from usbmux.errors import LocalProtocolError, RemoteProtocolError
from usbmux.testing.iphone.access import may_change, may_read
from usbmux.testing.iphone.hosts import HostRecord, Hosts, Trust
from usbmux.testing.iphone.lockdown_error import LockdownError
from usbmux.testing.iphone.values import Values
from usbmux.values import frozen

T = TypeVar("T")

LOCKDOWN_PORT: Final = 62078
_TYPE: Final = "com.apple.mobile.lockdown"
_WITHOUT_SESSION: Final = frozenset({"com.apple.mobile.insecure_notification_proxy"})
_MAX_TEXT_LENGTH: Final = 256
_SUCCESS: Final = {"Result": "Success"}


class SessionState(Enum):
    """Whose requests these are."""

    ANYBODY = auto()
    """In plain text, from whoever has the cable."""
    TRUSTED = auto()
    """Inside TLS, from a host that has been paired."""


_EDGES: Final = {
    SessionState.ANYBODY: frozenset({SessionState.TRUSTED}),
    SessionState.TRUSTED: frozenset({SessionState.ANYBODY}),
}


class Then(Enum):
    """What follows an answer."""

    NEXT_REQUEST = auto()
    TLS_BEGINS = auto()
    TLS_ENDS = auto()
    CONNECTION_ENDS = auto()


@frozen
class Answer:
    """What to send, and what then."""

    properties: Mapping[str, object]
    then: Then = Then.NEXT_REQUEST


class Phone(Protocol):
    """What lockdown needs of the phone it runs on."""

    @property
    def values(self) -> Values:
        """What there is to know about it."""

    @property
    def hosts(self) -> Hosts:
        """Whom it trusts."""

    def pair(self, record: HostRecord) -> bytes | LockdownError:
        """Trust a host; its escrow bag. The owner has agreed already."""

    def start_service(self, name: str, host: HostRecord | None) -> int | LockdownError:
        """Open a port for one connection to a service, inside TLS if a host is given; the port."""

    def announce_change(self, key: str, domain: str | None) -> None:
        """Tell who observes it that a host has set a value."""

    def enter_recovery(self) -> None:
        """Leave, once the answer is on its way."""


class _RefusedError(Exception):
    """Ends a request with an error; never leaves this module."""

    def __init__(self, error: LockdownError) -> None:
        super().__init__(error)
        self.error = error


class LockdownSession:
    """Answers the requests of one connection.

    Args:
        phone: Whose lockdown it is.
    """

    def __init__(self, phone: Phone) -> None:
        self._phone = phone
        self._state = SessionState.ANYBODY
        self._session_id = ""
        self._host: HostRecord | None = None
        self._handlers: Final[Mapping[str, Callable[[Mapping[object, object]], Answer]]] = {
            "QueryType": self._query_type,
            "GetValue": self._get_value,
            "SetValue": self._set_value,
            "RemoveValue": self._remove_value,
            "Pair": self._pair,
            "ValidatePair": self._validate_pair,
            "Unpair": self._unpair,
            "ResetPairing": self._reset_pairing,
            "StartSession": self._start_session,
            "StopSession": self._stop_session,
            "StartService": self._start_service,
            "Activate": self._succeed,
            "Deactivate": self._succeed,
            "EnterRecovery": self._enter_recovery,
            "Goodbye": self._say_goodbye,
        }

    @property
    def state(self) -> SessionState:
        """Whose requests these are."""
        return self._state

    @property
    def host(self) -> HostRecord | None:
        """The host whose session it is: whom TLS is for, once an answer has said that it begins."""
        return self._host

    def refuse(self, request: Mapping[object, object], error: str) -> Answer:
        """Answer a request with an error, without carrying it out."""
        return Answer({"Request": _text(request, "Request") or "", "Error": error})

    def answer(self, request: Mapping[object, object]) -> Answer:
        """Carry out a request. Whatever it contains, there is an answer to it."""
        name = _text(request, "Request") or ""
        try:
            if name not in self._handlers:
                raise _RefusedError(LockdownError.INVALID_REQUEST)
            if self._host is not None and not self._phone.hosts.is_trusted(self._host):
                raise _RefusedError(LockdownError.INVALID_HOST_ID)
            answer = self._handlers[name](request)
        except _RefusedError as refused:
            return self.refuse(request, refused.error.value)
        return Answer({"Request": name, **answer.properties}, answer.then)

    def _query_type(self, _: Mapping[object, object]) -> Answer:
        return Answer({"Type": _TYPE})

    def _get_value(self, request: Mapping[object, object]) -> Answer:
        key, domain = _optional(request, "Key"), _optional(request, "Domain")
        in_session = self._state is SessionState.TRUSTED
        echo = {name: text for name, text in (("Key", key), ("Domain", domain)) if text is not None}
        values = self._phone.values.everything(domain)
        if key is None:
            seen = {name: value for name, value in values.items() if may_read(name, domain, in_session=in_session)}
            return Answer({**echo, "Value": seen})
        if key not in values:
            raise _RefusedError(LockdownError.MISSING_VALUE)
        if not may_read(key, domain, in_session=in_session):
            raise _RefusedError(LockdownError.GET_PROHIBITED)
        return Answer({**echo, "Value": values[key]})

    def _set_value(self, request: Mapping[object, object]) -> Answer:
        key, domain = self._changeable(request, LockdownError.SET_PROHIBITED)
        if "Value" not in request:
            raise _RefusedError(LockdownError.MISSING_VALUE)
        if not self._phone.values.set_value(key, request["Value"], domain):
            raise _RefusedError(LockdownError.SET_PROHIBITED)
        self._phone.announce_change(key, domain)
        return Answer({})

    def _remove_value(self, request: Mapping[object, object]) -> Answer:
        key, domain = self._changeable(request, LockdownError.REMOVE_PROHIBITED)
        if not self._phone.values.remove_value(key, domain):
            raise _RefusedError(LockdownError.MISSING_VALUE)
        return Answer({})

    def _changeable(self, request: Mapping[object, object], error: LockdownError) -> tuple[str, str | None]:
        domain = _optional(request, "Domain")
        key = _required(request, "Key", LockdownError.MISSING_KEY)
        if not may_change(key, domain, in_session=self._state is SessionState.TRUSTED):
            raise _RefusedError(error)
        return key, domain

    def _pair(self, request: Mapping[object, object]) -> Answer:
        try:
            record = HostRecord.from_properties(request.get("PairRecord"))
        except RemoteProtocolError as error:
            raise _RefusedError(LockdownError.INVALID_PAIR_RECORD) from error
        match self._phone.hosts.trust:
            case Trust.LOCKED:
                raise _RefusedError(LockdownError.PASSWORD_PROTECTED)
            case Trust.PENDING:
                raise _RefusedError(LockdownError.PAIRING_DIALOG_RESPONSE_PENDING)
            case Trust.DENIED:
                raise _RefusedError(LockdownError.USER_DENIED_PAIRING)
            case Trust.ACCEPTED:
                return Answer({"EscrowBag": _unless_refused(self._phone.pair(record))})

    def _validate_pair(self, request: Mapping[object, object]) -> Answer:
        if self._phone.hosts.find(_host_id_in_record(request)) is None:
            raise _RefusedError(LockdownError.INVALID_HOST_ID)
        return Answer({})

    def _unpair(self, request: Mapping[object, object]) -> Answer:
        if not self._phone.hosts.forget(_host_id_in_record(request)):
            raise _RefusedError(LockdownError.INVALID_HOST_ID)
        return Answer({})

    def _reset_pairing(self, request: Mapping[object, object]) -> Answer:
        answer = self._succeed(request)
        self._phone.hosts.revoke()
        return answer

    def _start_session(self, request: Mapping[object, object]) -> Answer:
        if self._state is SessionState.TRUSTED:
            raise _RefusedError(LockdownError.SESSION_ACTIVE)
        host = self._phone.hosts.find(_required(request, "HostID", LockdownError.MISSING_HOST_ID))
        # It may be left out, but who names a computer names the one that has paired.
        if host is None or request.get("SystemBUID", host.system_buid) != host.system_buid:
            raise _RefusedError(LockdownError.INVALID_HOST_ID)
        self._host = host
        self._session_id = str(uuid.uuid4()).upper()
        self._set_state(SessionState.TRUSTED)
        return Answer({"SessionID": self._session_id, "EnableSessionSSL": True}, Then.TLS_BEGINS)

    def _stop_session(self, request: Mapping[object, object]) -> Answer:
        self._check_session()
        if _required(request, "SessionID", LockdownError.MISSING_SESSION_ID) != self._session_id:
            raise _RefusedError(LockdownError.INVALID_SESSION_ID)
        self._host = None
        self._set_state(SessionState.ANYBODY)
        return Answer(_SUCCESS, Then.TLS_ENDS)

    def _start_service(self, request: Mapping[object, object]) -> Answer:
        name = _required(request, "Service", LockdownError.MISSING_SERVICE)
        if name not in _WITHOUT_SESSION:
            self._check_session()
        port = _unless_refused(self._phone.start_service(name, self._host))
        encryption = {} if self._host is None else {"EnableServiceSSL": True}
        return Answer({"Service": name, "Port": port, **encryption})

    def _succeed(self, _: Mapping[object, object]) -> Answer:
        self._check_session()
        return Answer(_SUCCESS)

    def _enter_recovery(self, request: Mapping[object, object]) -> Answer:
        answer = self._succeed(request)
        self._phone.enter_recovery()
        return answer

    def _say_goodbye(self, _: Mapping[object, object]) -> Answer:
        return Answer(_SUCCESS, Then.CONNECTION_ENDS)

    def _check_session(self) -> None:
        if self._state is not SessionState.TRUSTED:
            raise _RefusedError(LockdownError.SESSION_INACTIVE)

    def _set_state(self, state: SessionState) -> None:
        if state not in _EDGES[self._state]:
            raise LocalProtocolError(f"{self._state.name} cannot become {state.name}")
        self._state = state


def _text(request: Mapping[object, object], key: str) -> str | None:
    """A text that can be sent back; None for anything else."""
    text = request.get(key)
    return text if isinstance(text, str) and text.isprintable() and 0 < len(text) <= _MAX_TEXT_LENGTH else None


def _optional(request: Mapping[object, object], key: str) -> str | None:
    """A text that may be left out or empty. Whoever means another type by it asks for something else than it gets."""
    value = request.get(key)
    if value is None or (isinstance(value, str) and not value):
        return None
    return _required(request, key, LockdownError.INVALID_REQUEST)


def _required(request: Mapping[object, object], key: str, error: LockdownError) -> str:
    text = _text(request, key)
    if text is None:
        raise _RefusedError(error)
    return text


def _host_id_in_record(request: Mapping[object, object]) -> str:
    record = request.get("PairRecord")
    if not isinstance(record, Mapping):
        raise _RefusedError(LockdownError.MISSING_PAIR_RECORD)
    return _required(record, "HostID", LockdownError.MISSING_HOST_ID)


def _unless_refused(outcome: T | LockdownError) -> T:
    if isinstance(outcome, LockdownError):
        raise _RefusedError(outcome)
    return outcome
