"""All cases, in the order in which they run."""

from typing import Final

from usbmux.testing.conformance import connecting, frames, listening, listing, pair_records, property_lists, streams
from usbmux.testing.conformance.answer import BUID, DEVICE_LIST, then
from usbmux.testing.conformance.case import Case
from usbmux.testing.conformance.exchange import sequence
from usbmux.testing.conformance.request import LIST_DEVICES, plist

# What a case did to the server shows at the latest in the last one.
_SERVES_ON: Final = sequence(
    "server.serves-on",
    "ListDevices and ReadBUID after all other cases",
    [LIST_DEVICES, plist("ReadBUID")],
    then(DEVICE_LIST, BUID),
    "every client",
)

CASES: Final[tuple[Case, ...]] = (
    *frames.LENGTHS,
    *frames.PIECES,
    *frames.VERSIONS,
    *frames.NUMBERS,
    *frames.TAGS,
    *property_lists.SOUND,
    *property_lists.BROKEN,
    *listing.DEVICES,
    *listing.LISTENERS,
    *listing.BUIDS,
    *listening.ANSWERS,
    *listening.PHONES,
    *listening.LISTENING,
    *connecting.DEVICES,
    *connecting.PORTS,
    *connecting.BINARY,
    *connecting.REFUSALS,
    *streams.STREAMS,
    *pair_records.READING,
    *pair_records.SAVING,
    *pair_records.DELETING,
    _SERVES_ON,
)
