"""What lockdown tells of the phone: values by key, inside domains and outside, which hosts may change."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final, TypeAlias

from usbmux.control.property_list import dump
from usbmux.errors import LocalProtocolError

Scalar: TypeAlias = str | bytes | bool | int | float | datetime
"""What hosts may set."""
Value: TypeAlias = Scalar | Sequence["Value"] | Mapping[str, "Value"]
"""What a property list can hold."""
Domain: TypeAlias = str | None
"""The name of a group of values; None for the values outside any."""

_TIME_KEY: Final = "TimeIntervalSince1970"
_MAX_LENGTH: Final = 4096
_MAX_KEYS: Final = 1024


class Values:
    """The values of one phone.

    Args:
        domains: What they are at first.
        now: The time, in seconds since 1970; hosts see and set their own notion of it.
    """

    def __init__(self, domains: Mapping[Domain, Mapping[str, Value]], *, now: Callable[[], float] = time.time) -> None:
        self._domains: dict[Domain, dict[str, Value]] = {name: dict(values) for name, values in domains.items()}
        self._domains.setdefault(None, {})
        self._now = now
        self._clock_offset_s = 0.0

    def value(self, key: str, domain: Domain = None) -> Value | None:
        """The value of `key` in `domain`; None if there is none."""
        return self.everything(domain).get(key)

    def everything(self, domain: Domain = None) -> dict[str, Value]:
        """All values of `domain`; none if there is no such domain."""
        values = dict(self._domains.get(domain, {}))
        if domain is None and _TIME_KEY in values:
            values[_TIME_KEY] = self._now() + self._clock_offset_s
        return values

    def set_value(self, key: str, value: object, domain: Domain = None) -> bool:
        """Change or add a value; what the phone is told the time to be, goes on from there.

        Returns:
            Whether it was taken: it must be a single value, no longer than 4096 bytes, that a property list can hold,
            and there must be room for one more.
        """
        if not isinstance(value, Scalar) or not _is_fit(key, value):
            return False
        old = self._domains.get(domain, {}).get(key)
        if old is None and sum(map(len, self._domains.values())) >= _MAX_KEYS:
            return False
        if domain is None and key == _TIME_KEY and isinstance(value, int | float):
            self._clock_offset_s = value - self._now()
        if type(old) is int and isinstance(value, bool):
            value = int(value)  # go-ios sets switches to true, and expects 1 when it reads them
        self._domains.setdefault(domain, {})[key] = value
        return True

    def remove_value(self, key: str, domain: Domain = None) -> bool:
        """Forget a value; whether there was one."""
        return self._domains.get(domain, {}).pop(key, None) is not None


def _is_fit(key: str, value: Value) -> bool:
    if isinstance(value, str | bytes) and len(value) > _MAX_LENGTH:
        return False
    try:
        # The same value must be written in replies, and XML cannot hold all that a binary property list can.
        dump({key: value})
    except LocalProtocolError:
        return False
    return True
