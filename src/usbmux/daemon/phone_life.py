"""What one phone on a bus is doing, for those who look inside."""

from typing import Final

from usbmux.admin.message import PhoneState, PhoneStatus
from usbmux.usb.pipe import UsbDeviceInfo

_EDGES: Final = frozenset(
    {
        (PhoneState.OPENING, PhoneState.ATTACHED),
        (PhoneState.OPENING, PhoneState.CLOSING),
        (PhoneState.OPENING, PhoneState.QUARANTINED),
        (PhoneState.ATTACHED, PhoneState.CLOSING),
        (PhoneState.CLOSING, PhoneState.QUARANTINED),
        (PhoneState.QUARANTINED, PhoneState.OPENING),
    }
)


class PhoneLife:
    """From plug to unplug. Begins as a phone that is being opened; times are in seconds, of any clock.

    Args:
        port_path: Where it is plugged in.
    """

    def __init__(self, port_path: str) -> None:
        self._port_path: Final = port_path
        self._state = PhoneState.OPENING
        self._info: UsbDeviceInfo | None = None
        self._device_id: int | None = None
        self._attach_count = 0
        self._last_error: str | None = None
        self._next_try: float | None = None

    def opened(self, info: UsbDeviceInfo) -> None:
        """It is known who the phone is; the handshake follows."""
        self._info = info

    def attached(self, device_id: int, attach_count: int) -> None:
        """Clients see it."""
        self._device_id, self._attach_count = device_id, attach_count
        self._set_state(PhoneState.ATTACHED)

    def closing(self) -> None:
        """Clients see it no longer."""
        self._device_id = None
        self._set_state(PhoneState.CLOSING)

    def quarantined(self, error: str, next_try: float) -> None:
        """It failed, and is tried again at that time."""
        self._last_error, self._next_try = error, next_try
        self._set_state(PhoneState.QUARANTINED)

    def opening(self) -> None:
        """It is tried again."""
        self._next_try = None
        self._set_state(PhoneState.OPENING)

    def status(self, now: float) -> PhoneStatus:
        """All that is known of it."""
        info = self._info
        return PhoneStatus(
            state=self._state,
            port_path=self._port_path,
            udid=info.serial_number if info else None,
            product_id=info.product_id if info else None,
            connection_speed=info.connection_speed if info else None,
            device_id=self._device_id,
            attach_count=self._attach_count,
            last_error=self._last_error,
            next_try_s=None if self._next_try is None else round(max(0.0, self._next_try - now), 3),
        )

    def _set_state(self, state: PhoneState) -> None:
        assert (self._state, state) in _EDGES, f"a phone that is {self._state.value} cannot become {state.value}"
        self._state = state
