"""com.apple.mobile.notification_proxy and its insecure twin."""

import asyncio
from collections.abc import Mapping
from typing import Final

from usbmux.errors import RemoteProtocolError
from usbmux.testing.iphone.byte_stream import ByteStream
from usbmux.testing.iphone.plist_stream import read_plist, write_plist
from usbmux.testing.iphone.services.context import ServiceContext
from usbmux.testing.iphone.services.hub import Mailbox
from usbmux.testing.iphone.services.race import until_one_ends
from usbmux.values import frozen

MAX_OBSERVED: Final = 1000
"""How many notifications one connection may observe."""
MAX_NAME_LENGTH: Final = 1024
"""Longest name of a notification, in characters."""


@frozen
class NotificationProxy:
    """Posts what hosts post and tells them of what they observe, until they shut it down or end.

    A host that observes more, or longer names, than the limits of this module breaks the protocol. Unknown
    commands are ignored, and so are names that are not permitted.
    """

    prefix: str = ""
    """What the names begin with that may be posted and observed."""

    async def __call__(self, stream: ByteStream, phone: ServiceContext) -> None:
        """Serve one connection."""
        observed: set[str] = set()
        is_writing = asyncio.Lock()
        with phone.notifications.open_mailbox(observed.__contains__) as mailbox:
            await until_one_ends(
                self._obey(stream, phone, observed, is_writing),
                _relay(mailbox, stream, is_writing),
            )

    async def _obey(
        self, stream: ByteStream, phone: ServiceContext, observed: set[str], is_writing: asyncio.Lock
    ) -> None:
        while (message := await read_plist(stream)) is not None:
            match message.get("Command"):
                case "ObserveNotification" if (name := self._name(message)) is not None:
                    observed.add(name)
                    if len(observed) > MAX_OBSERVED:
                        raise RemoteProtocolError(f"more than {MAX_OBSERVED} notifications are observed")
                case "PostNotification" if (name := self._name(message)) is not None:
                    phone.notifications.post(name)
                case "Shutdown":
                    async with is_writing:
                        await write_plist(stream, {"Command": "ProxyDeath"})
                    return
                case _:
                    pass

    def _name(self, message: Mapping[object, object]) -> str | None:
        """The notification that is meant; None if there is none, or it is not permitted."""
        name = message.get("Name")
        if not isinstance(name, str) or not name.startswith(self.prefix):
            return None
        if len(name) > MAX_NAME_LENGTH:
            raise RemoteProtocolError(f"the name of a notification has {len(name)} characters")
        return name


notification_proxy: Final = NotificationProxy()
"""For hosts with a session: every notification."""
insecure_notification_proxy: Final = NotificationProxy("com.apple.mobile.lockdown.")
"""For any host, which learns no more than it needs in order to pair."""


async def _relay(mailbox: Mailbox[str], stream: ByteStream, is_writing: asyncio.Lock) -> None:
    while True:
        for name in (await mailbox.receive()).items:
            async with is_writing:
                await write_plist(stream, {"Command": "RelayNotification", "Name": name})
