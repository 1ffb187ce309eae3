"""The offer of a version, made until the phone answers or the time is up (M8)."""

from typing import Final

from usbmux.mux.packet import MuxProtocol, Version, encode_v1
from usbmux.mux.settings import MuxSettings
from usbmux.mux.version_search import VersionSearch

OFFER: Final = encode_v1(MuxProtocol.VERSION, Version(2, 0).encode())
"""The packet with which a host begins."""


class Handshake:
    """One handshake, from the moment when the offer may be sent for the first time."""

    def __init__(self, now: float, settings: MuxSettings) -> None:
        self.repeats = 0
        """How often the offer was to be sent again."""
        self._settings: Final = settings
        self._search: Final = VersionSearch()
        self._ends_at: Final = now + settings.handshake_timeout_s
        self._repeat_at = now + settings.version_repeat_s

    @property
    def skipped(self) -> int:
        """How many bytes came that were no part of the answer."""
        return self._search.skipped

    @property
    def deadline(self) -> float:
        """When to ask for `failure` and `repeats_offer`."""
        return min(self._ends_at, self._repeat_at)

    def receive_data(self, data: bytes | memoryview) -> tuple[Version, bytes] | None:
        """See `VersionSearch.receive_data`."""
        return self._search.receive_data(data)

    def failure(self, now: float) -> str | None:
        """Why it has failed, if it has."""
        if now < self._ends_at:
            return None
        came = f", only {self.skipped} bytes of something else" if self.skipped else ""
        return f"no answer to VERSION within {self._settings.handshake_timeout_s:g} s{came}"

    def repeats_offer(self, now: float, *, is_sent: bool) -> bool:
        """Whether to send the offer once more now; only one that was sent can be repeated."""
        if now < self._repeat_at:
            return False
        self._repeat_at = now + self._settings.version_repeat_s
        if is_sent:
            self.repeats += 1
        return is_sent
