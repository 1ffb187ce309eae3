"""Makes or validates the pairing of every phone that comes, so that every program finds one."""

import asyncio
import logging
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from usbmux.daemon.device_link import DeviceLink
from usbmux.daemon.own_route import OwnRoute
from usbmux.daemon.pairing import is_record_id
from usbmux.daemon.requests import RequestAnswerer
from usbmux.errors import (
    DeviceResetError,
    LockdownError,
    NotPairedError,
    PairRecordNotFoundError,
    PhoneLockedError,
    PortRefusedError,
    TrustDeniedError,
    TrustPendingError,
    UsbmuxError,
)
from usbmux.lockdown import operations
from usbmux.lockdown.aio import AsyncLockdownClient
from usbmux.lockdown.certificates import MISSING_PACKAGE, can_make_pair_records, make_pair_record
from usbmux.lockdown.operations import INSECURE_PROXY, LOCKDOWN_TYPE
from usbmux.lockdown.pair_record import PairRecord
from usbmux.threads import call_in_thread

logger = logging.getLogger("usbmux.daemon.preflight")

REPLY_TIMEOUT_S: Final = 10.0
"""How long a phone may take for one answer."""
MAX_KEY_MAKERS: Final = 2
"""So many pairings are made at a time: keys take a processor some tenths of a second each."""
_MAX_REPLY_LENGTH: Final = 1 << 16
"""No answer that is asked for here comes near it, in bytes."""
_T2_PRODUCT_ID: Final = 0x8600
"""A T2 is no phone, and pairs with nobody."""
_MAX_SHOWN_LENGTH: Final = 64


class Preflight:
    """Has one task for each phone, which nothing waits for: programs see the phone at once and may be faster.

    Args:
        answerer: Reads and saves the records.
        reply_timeout_s: How long a phone may take for one answer.
    """

    def __init__(self, answerer: RequestAnswerer, reply_timeout_s: float = REPLY_TIMEOUT_S) -> None:
        self._answerer: Final = answerer
        self._reply_timeout_s: Final = reply_timeout_s
        self._key_makers: Final = ThreadPoolExecutor(MAX_KEY_MAKERS, "pair-keys")
        self._tasks: Final[dict[int, asyncio.Task[None]]] = {}
        self._has_complained = False

    def phone_attached(self, link: DeviceLink, device_id: int) -> None:
        """Begin with a phone."""
        if link.info.product_id == _T2_PRODUCT_ID or not is_record_id(link.info.serial_number):
            return
        udid = link.info.serial_number
        conversation = _Conversation(self, OwnRoute(self._answerer, link, device_id), udid)
        task = asyncio.get_running_loop().create_task(conversation.run(), name=f"preflight of {udid}")
        self._tasks[device_id] = task
        task.add_done_callback(lambda _task: self._tasks.pop(device_id))

    def phone_detached(self, device_id: int) -> None:
        """End with a phone, whatever is under way."""
        if (task := self._tasks.get(device_id)) is not None:
            task.cancel()

    async def close(self) -> None:
        """End with every phone. Idempotent."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._key_makers.shutdown(wait=False, cancel_futures=True)

    # For its conversations

    def client(self, route: OwnRoute) -> AsyncLockdownClient:
        """What asks a phone."""
        return AsyncLockdownClient(route, timeout_s=self._reply_timeout_s, max_length=_MAX_REPLY_LENGTH)

    def can_pair(self) -> bool:
        """Whether pairings can be made; complains once if not."""
        if can_make_pair_records():
            return True
        if not self._has_complained:
            self._has_complained = True
            logger.warning("phones are not paired with: %s", MISSING_PACKAGE)
        return False

    async def make_record(self, public_key: bytes, buid: str, wifi_mac_address: str | None) -> PairRecord:
        """See `make_pair_record`; beside the loop. OSError if there is no thread for it."""
        return await call_in_thread(self._key_makers, make_pair_record, public_key, buid, wifi_mac_address)


class _Conversation:
    """With one phone."""

    def __init__(self, preflight: Preflight, route: OwnRoute, udid: str) -> None:
        self._preflight: Final = preflight
        self._route: Final = route
        self._told: Final[set[type[LockdownError]]] = set()
        self._log: Final = logging.LoggerAdapter(logger, {"udid": udid})
        self._udid: Final = udid

    async def run(self) -> None:
        """Pair, if that is needed; errors become lines in the log."""
        try:
            async with self._preflight.client(self._route) as phone:
                if (kind := await phone.query_type()) != LOCKDOWN_TYPE:
                    self._log.info("%s: is no phone, but %s", self._udid, _shown([kind]))
                elif not await self._is_paired(phone) and self._preflight.can_pair():
                    await self._pair(phone)
        except PortRefusedError:
            self._log.debug("%s: has no lockdown", self._udid)
        except DeviceResetError as error:
            self._log.info("%s: preflight ended: %s", self._udid, error)  # which an unplugged phone has, too
        except (UsbmuxError, OSError) as error:
            self._log.warning("%s: preflight ended: %s", self._udid, error)

    async def _is_paired(self, phone: AsyncLockdownClient) -> bool:
        """Whether the record that is kept still holds."""
        try:
            await phone.start_session()
            await phone.value("ProductVersion")  # with TLS 1.3 the phone may refuse only now
        except PairRecordNotFoundError:
            return False
        except NotPairedError as error:
            self._log.info("%s: its pair record does not hold: %s", self._udid, error)
            return False
        self._log.info("%s: is paired", self._udid)
        return True

    async def _pair(self, phone: AsyncLockdownClient) -> None:
        kept = await self._kept()
        who = [await self._told_of(phone, key) for key in ("DeviceClass", "ProductVersion")]
        self._log.info("%s: asking to be trusted by this %s", self._udid, _shown(who))
        buid = await self._route.buid()
        with suppress(LockdownError):  # it only lets the phone show whom it is asked to trust
            await phone.set_value("UntrustedHostBUID", buid)
        public_key, wifi_mac_address = await phone.run(operations.public_key())
        record = await self._preflight.make_record(public_key, buid, wifi_mac_address)
        paired = await self._propose(phone, record)
        if paired is None:
            paired = await self._propose_when_asked(phone, record, kept)
        if paired is not None:
            await phone.keep(paired)
            self._log.info("%s: is paired now", self._udid)

    async def _propose(self, phone: AsyncLockdownClient, record: PairRecord) -> PairRecord | None:
        """The record as it is to be saved; None if the phone's owner has to do something before."""
        try:
            return await phone.run(operations.pair(record))
        except (TrustPendingError, TrustDeniedError, PhoneLockedError) as error:
            if type(error) not in self._told:
                self._told.add(type(error))
                self._log.info("%s: not paired yet: %s", self._udid, error)
            return None

    async def _propose_when_asked(
        self, phone: AsyncLockdownClient, record: PairRecord, kept: bytes | None
    ) -> PairRecord | None:
        """Wait for the phone's owner as long as the phone is there; None if a program has paired meanwhile.

        That is so if what is kept is no longer what was kept at the beginning.
        """
        async with await phone.start_service(INSECURE_PROXY) as proxy:
            await proxy.run(operations.observe_pairing())
            # The owner may have answered before we listened, but who was refused does not ask again by itself.
            is_asked = TrustDeniedError not in self._told
            proxy.timeout_s = None
            while True:
                if is_asked:
                    if await self._kept() != kept:
                        self._log.info("%s: a program has paired with it", self._udid)
                        return None
                    if (paired := await self._propose(phone, record)) is not None:
                        return paired
                    await phone.close()  # while nothing is asked, the proxy's connection is enough
                is_asked = await proxy.run(operations.hear_pairing())
                await asyncio.sleep(0)  # whatever the phone floods us with, others have their turn

    async def _kept(self) -> bytes | None:
        try:
            return await self._route.read_pair_record()
        except PairRecordNotFoundError:
            return None

    async def _told_of(self, phone: AsyncLockdownClient, key: str) -> object:
        try:
            return await phone.value(key)
        except LockdownError:
            return "?"


def _shown(words: Iterable[object]) -> str:
    """What a phone says of itself, as far as a log should have it."""
    text = " ".join(str(word)[:_MAX_SHOWN_LENGTH] if isinstance(word, str) else "?" for word in words)
    return "".join(character if character.isprintable() else "?" for character in text)
