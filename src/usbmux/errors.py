"""Every error that usbmux raises on purpose.

::

    UsbmuxError
      ProtocolError
        LocalProtocolError          our caller asked for what the state forbids
        RemoteProtocolError         the peer sent what the protocol forbids
      AddressError                  (ValueError) not a socket address in any known spelling
      ConfigurationError            (ValueError) a configuration says something that cannot be
      DaemonUnavailableError        (ConnectionError) nobody serves at the address, or it hung up
      RequestTimeoutError           (TimeoutError) the daemon did not answer in time
      RequestError                  the daemon answered with a result other than 0
        DeviceNotFoundError         (LookupError) no such phone, or none attached
        AmbiguousDeviceError        (LookupError) several phones fit
        PortRefusedError            (ConnectionRefusedError) nothing listens on that port of the phone
        PairRecordNotFoundError     (LookupError) no pair record under that id
      DeviceResetError              (ConnectionResetError) the phone reset the connection, with its reason
      LockdownError                 the phone refused what lockdown was asked for
        NotPairedError              phone and computer do not know each other
        TrustPendingError           the phone's owner has not answered yet whether to trust this computer
        TrustDeniedError            the phone's owner does not trust this computer
        PhoneLockedError            the phone wants its passcode first
      UsbError                      (OSError) the bus failed
        UsbAccessError              (PermissionError) the node may not be opened, or somebody else has the interface
        UsbDisconnectedError        the device is gone
        UsbStallError               the endpoint is halted
        UsbTimeoutError             (TimeoutError) the transfer did not end in time

The protocol engines raise only `ProtocolError`; anything else that leaves them is a bug.
Leaves also derive from the builtin that a caller would catch already.
"""


class UsbmuxError(Exception):
    """Base of everything below."""


class ProtocolError(UsbmuxError):
    """One of the two protocols was broken."""


class LocalProtocolError(ProtocolError):
    """Our own caller asked for something that the current state forbids."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something that the protocol forbids.

    Args:
        message: What was expected and what came.
        data: The input from the offending place on, as far as it is there.
    """

    def __init__(self, message: str, data: bytes = b"") -> None:
        super().__init__(message)
        self.data = data


class AddressError(UsbmuxError, ValueError):
    """The text is not a socket address in any known spelling."""


class ConfigurationError(UsbmuxError, ValueError):
    """A configuration file says something wrong; the text names the file and the line."""


class DaemonUnavailableError(UsbmuxError, ConnectionError):
    """Nobody serves the usbmux protocol at the address, or the daemon hung up."""


class RequestTimeoutError(UsbmuxError, TimeoutError):
    """The daemon did not answer in time."""


class RequestError(UsbmuxError):
    """The daemon answered with a result other than 0.

    Args:
        result: The number in the Result message (a usbmux code, or an errno for pair records).
        message: What was asked and what the number means.
    """

    def __init__(self, result: int, message: str) -> None:
        super().__init__(message)
        self.result = result

    def __reduce__(self) -> tuple[object, ...]:
        """How it is copied, and gets from one process to another: `args`, which all others go by, lacks the result."""
        return type(self), (self.result, *self.args), self.__dict__


class DeviceNotFoundError(RequestError, LookupError):
    """No phone of that name, or none at all, is attached."""


class AmbiguousDeviceError(RequestError, LookupError):
    """More than one phone fits and none was named."""


class PortRefusedError(RequestError, ConnectionRefusedError):
    """Nothing listens on that port of the phone."""


class PairRecordNotFoundError(RequestError, LookupError):
    """The daemon keeps no pair record under that id."""


class DeviceResetError(UsbmuxError, ConnectionResetError):
    """The phone reset the connection; the text is the reason it gave."""


class LockdownError(UsbmuxError):
    """The phone refused what lockdown was asked for.

    Args:
        message: What was asked, and what to do if somebody can do something.
        error: The phone's word for it, such as ``MissingValue``; empty if it ended TLS instead.
    """

    def __init__(self, message: str, error: str = "") -> None:
        super().__init__(message)
        self.error = error


class NotPairedError(LockdownError):
    """The phone does not know this computer, or the pair record is not for this phone, or cannot be used."""


class TrustPendingError(LockdownError):
    """The phone asks its owner whether to trust this computer, and has no answer yet."""


class TrustDeniedError(LockdownError):
    """The phone's owner does not trust this computer."""


class PhoneLockedError(LockdownError):
    """The phone does not do it before its passcode was entered."""


class UsbError(UsbmuxError, OSError):
    """The bus or a device on it failed."""


class UsbAccessError(UsbError, PermissionError):
    """The device node may not be opened, or another process has claimed the interface."""


class UsbDisconnectedError(UsbError):
    """The device is no longer on the bus."""


class UsbStallError(UsbError):
    """The endpoint is halted."""


class UsbTimeoutError(UsbError, TimeoutError):
    """The transfer did not end in time."""
