"""How long the loop may sleep during an upload: until the phone has nearly run out of what was handed to USB."""

import math
from typing import Final

from usbmux.daemon.counterflow import Counterflow
from usbmux.usb.drain import Drain

_LEAST_S: Final = 0.0001
"""A shorter one would spare nothing."""
_MOST_S: Final = 0.003
_LEAST_MARGIN_S: Final = 0.0001
_MOST_MARGIN_S: Final = 0.003
"""With that there are no pauses any more."""
_LOOK_EVERY: Final = 16
"""Turns after one of which there is no pause, so that it is seen when a write ends."""
_MOST_IN_VAIN: Final = 64
"""Turns that hand over something and have no pause, after which the endpoint is too fast for any, or runs dry."""
_STEP_S: Final = 0.000005
_MOST_STEP_S: Final = 0.00025
_RELIEF: Final = 1 / 1024
"""Of the margin, for a pause after which there was time. So once in fifty pauses there is not."""
_GROWTH: Final = 1.25


class UploadPause:
    """Finds out how long before the endpoint runs dry the loop must be awake.

    While data is in flight nothing else can go to that phone, and what it answers is to data that went before. So a
    pause that is over by then holds up nobody there, as long as the phone may send until it hears from us. How much
    sooner it must be over depends on the system: the margin grows whenever the endpoint ran dry while there was more to
    send, or we were so late that it might have.
    """

    def __init__(self) -> None:
        self.is_in_vain = False
        """Whether there was no pause for long."""
        self.counterflow: Final = Counterflow()
        """What comes meanwhile from the phone; to be told."""
        self._margin_s = _LEAST_MARGIN_S
        self._drain: Drain | None = None
        self._times_dry = 0
        self._dry_at = 0.0
        self._sent = 0
        self._was_pause = False
        self._turns = self._turns_in_vain = 0

    def length(self, drain: Drain, sent: int, now: float) -> float:
        """How many seconds to sleep now; 0 for not at all. To be asked once for each turn of an upload, at its end.

        Args:
            drain: Of the phone.
            sent: How many bytes of the upload were handed over in all.
            now: The time.
        """
        if drain is not self._drain:
            self.end()
            self._drain = drain
            drain.want(True)
            self.counterflow.begin_anew()
            self._was_pause = self.is_in_vain = False
            self._turns_in_vain = 0
        if self._was_pause:
            self._judge(drain, sent, now)
        could_pause = sent != self._sent and self.counterflow.is_measured
        self._times_dry, self._sent = drain.times_dry, sent
        self._turns += 1
        self._dry_at = drain.dry_at()
        length_s = self._longest(self._dry_at - now, now) if self._turns % _LOOK_EVERY else 0.0
        self._was_pause = length_s >= _LEAST_S
        drain.awaited_since = math.inf if self._was_pause else now
        self._turns_in_vain = 0 if self._was_pause else self._turns_in_vain + could_pause
        self.is_in_vain = self._turns_in_vain >= _MOST_IN_VAIN
        return length_s if self._was_pause else 0.0

    def slept(self, *, was_as_usual: bool) -> None:
        """The pause was made. If something else had the processor at its end, nothing can be learnt from it."""
        self._was_pause = was_as_usual

    def end(self) -> None:
        """The upload is over, or let be."""
        if self._drain is not None:
            self._drain.want(False)
            self._drain = None

    def _longest(self, in_flight_s: float, now: float) -> float:
        return min(in_flight_s - self._margin_s, self.counterflow.patience_s(in_flight_s, now), _MOST_S)

    def _judge(self, drain: Drain, sent: int, now: float) -> None:
        """Learn from the turn after a pause."""
        if drain.times_dry != self._times_dry:
            if sent != self._sent:  # otherwise it was the end
                self._margin_s = min(self._margin_s * _GROWTH, _MOST_MARGIN_S)
        elif (late_s := now - self._dry_at) > 0:
            self._margin_s = min(self._margin_s + min(_STEP_S + late_s / 2, _MOST_STEP_S), _MOST_MARGIN_S)
        else:
            self._margin_s = max(self._margin_s * (1 - _RELIEF), _LEAST_MARGIN_S)
