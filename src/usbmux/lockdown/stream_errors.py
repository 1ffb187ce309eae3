"""What an error of a connection means to who asked a phone."""

import errno

from usbmux.errors import DeviceResetError, RequestTimeoutError


def stream_error(error: OSError, timeout_s: float | None) -> DeviceResetError | RequestTimeoutError:
    """Whether the time of a call is up, or the connection gone: TimeoutError is both, for TCP gives up as well."""
    if timeout_s is not None and isinstance(error, TimeoutError | BlockingIOError) and error.errno != errno.ETIMEDOUT:
        return RequestTimeoutError(f"the phone did not answer within {timeout_s:g} s")
    return DeviceResetError("the phone ended the connection")
