"""The errors that lockdown answers with, in the words that hosts translate."""

from enum import StrEnum


class LockdownError(StrEnum):
    """The value of `Error` in a reply."""

    GET_PROHIBITED = "GetProhibited"
    INVALID_HOST_ID = "InvalidHostID"
    INVALID_PAIR_RECORD = "InvalidPairRecord"
    INVALID_REQUEST = "InvalidRequest"
    INVALID_SERVICE = "InvalidService"
    INVALID_SESSION_ID = "InvalidSessionID"
    MISSING_HOST_ID = "MissingHostID"
    MISSING_KEY = "MissingKey"
    MISSING_PAIR_RECORD = "MissingPairRecord"
    MISSING_SERVICE = "MissingService"
    MISSING_SESSION_ID = "MissingSessionID"
    MISSING_VALUE = "MissingValue"
    PAIRING_DIALOG_RESPONSE_PENDING = "PairingDialogResponsePending"
    PASSWORD_PROTECTED = "PasswordProtected"
    REMOVE_PROHIBITED = "RemoveProhibited"
    SERVICE_LIMIT = "ServiceLimit"
    SESSION_ACTIVE = "SessionActive"
    SESSION_INACTIVE = "SessionInactive"
    SET_PROHIBITED = "SetProhibited"
    USER_DENIED_PAIRING = "UserDeniedPairing"
