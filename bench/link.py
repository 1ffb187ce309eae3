"""The links between host and phone that are emulated."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Link:
    """A kind of bus.

    Completions are delivered at most every `interrupt_ns`, as host controllers do: Linux asks xHCI for 40 microseconds.
    """

    name: str
    rate: int
    """Bytes per second; 0: no limit."""
    is_shared: bool = False
    """Both directions share the rate, as on USB 2."""
    interrupt_ns: int = 40_000

    def environment(self) -> Mapping[str, str]:
        """The variables that tell bench/fakeusb."""
        return {
            "FAKEUSB_RATE": str(self.rate),
            "FAKEUSB_SHARED": str(int(self.is_shared)),
            "FAKEUSB_INTERRUPT": str(self.interrupt_ns),
        }


USB_2: Final = Link("40", 40_000_000, is_shared=True)
USB_3: Final = Link("400", 400_000_000)
USB_3_FAST: Final = Link("900", 900_000_000)
UNLIMITED: Final = Link("unlimited", 0, interrupt_ns=0)
LINKS: Final = (USB_2, USB_3, USB_3_FAST, UNLIMITED)
