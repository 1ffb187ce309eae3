"""What the daemon answers to requests that are not about streams or listening."""

import errno
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, Protocol, assert_never

from usbmux.control.message import (
    Buid,
    DeletePairRecord,
    DeviceList,
    ListDevices,
    ListenerList,
    ListListeners,
    PairRecord,
    ReadBuid,
    ReadPairRecord,
    Reply,
    Result,
    ResultCode,
    SavePairRecord,
)
from usbmux.daemon.counts import Counts, RecordAction, RecordResult
from usbmux.daemon.pairing import PairRecordStore, is_record_id
from usbmux.daemon.policy import RecordAccess, View
from usbmux.daemon.registry import DeviceRegistry
from usbmux.threads import call_in_thread

Answerable = ListDevices | ListListeners | ReadBuid | ReadPairRecord | SavePairRecord | DeletePairRecord
LaterReply = Callable[[], Awaitable[Reply]]
_RecordRequest = ReadPairRecord | SavePairRecord | DeletePairRecord
_RECORD_RESULTS: Final = {
    0: RecordResult.DONE,
    errno.ENOENT: RecordResult.NO_RECORD,
    errno.EACCES: RecordResult.NOT_ALLOWED,
    errno.EINVAL: RecordResult.INVALID,
}


class Asker(Protocol):
    """A client, as far as its answers depend on it."""

    @property
    def view(self) -> View:
        """What it may see and do."""

    def complain(self, text: str, *arguments: object) -> None:
        """Write down what is wrong with a request of it, or with what that led to."""


class RequestAnswerer:
    """Answers at once where it can; requests that touch files are answered off the loop.

    Writes go through one thread, in the order in which they were asked for, and reads through another: a disk that
    takes its time holds up writes only, and never the loop or what else needs threads.

    Args:
        counts: Gets what became of requests about pair records.
    """

    def __init__(self, registry: DeviceRegistry, pair_records: PairRecordStore, counts: Counts | None = None) -> None:
        self._registry: Final = registry
        self._pair_records: Final = pair_records
        self._counts: Final = counts or Counts()
        self._reader: Final = ThreadPoolExecutor(1, "pair-records-read")
        self._writer: Final = ThreadPoolExecutor(1, "pair-records-write")

    async def close(self) -> None:
        """Answer no more, and wait for the write that has begun. What has not begun is dropped. Idempotent."""
        self._reader.shutdown(wait=False, cancel_futures=True)
        wait = partial(self._writer.shutdown, cancel_futures=True)
        waiter = ThreadPoolExecutor(1, "pair-records-end")  # the loop's own could not be closed without a thread
        try:
            await call_in_thread(waiter, wait)
        except OSError:
            wait()
        finally:
            waiter.shutdown(wait=False)

    def answer(self, request: Answerable, asker: Asker) -> Reply | LaterReply:
        """The reply, or what begins to make it when it is called. Never raises for what a client asked."""
        if isinstance(request, _RecordRequest) and (refusal := _refusal(request, asker)):
            self._count(_action(request), refusal)
            return Result(refusal)
        match request:
            case ListDevices():
                return DeviceList(self._registry.records(asker.view))
            case ListListeners():
                return ListenerList(self._registry.listeners(asker.view))
            case ReadBuid():
                return partial(self._from_files, asker, self._reader, lambda: Buid(self._pair_records.buid()))
            case ReadPairRecord(record_id):
                read = partial(self._read, record_id)
                return partial(self._from_files, asker, self._reader, read, _action(request))
            case SavePairRecord():
                return partial(self._save, request, asker)
            case DeletePairRecord(record_id):
                delete = partial(self._delete, record_id)
                return partial(self._from_files, asker, self._writer, delete, _action(request))
            case _:
                assert_never(request)

    def _read(self, record_id: str) -> Reply:
        return PairRecord(self._pair_records.read(record_id))

    def _delete(self, record_id: str) -> Reply:
        self._pair_records.delete(record_id)
        return Result(ResultCode.OK)

    async def _save(self, request: SavePairRecord, asker: Asker) -> Reply:
        def save() -> Reply:
            self._pair_records.save(request.record_id, request.data)
            return Result(ResultCode.OK)

        reply = await self._from_files(asker, self._writer, save, _action(request))
        if reply == Result(ResultCode.OK):
            self._registry.paired(request.device_id, request.record_id)
        return reply

    async def _from_files(
        self,
        asker: Asker,
        thread: ThreadPoolExecutor,
        work: Callable[[], Reply],
        action: RecordAction | None = None,
    ) -> Reply:
        try:
            reply = await call_in_thread(thread, work)
        except OSError as error:
            if error.errno != errno.ENOENT:  # which is an everyday answer
                asker.complain("pair records: %s", error)
            code = error.errno or errno.EIO
            self._count(action, code)
            return Result(code)
        self._count(action, ResultCode.OK)
        return reply

    def _count(self, action: RecordAction | None, code: int) -> None:
        if action is not None:
            self._counts.pair_records[action, _RECORD_RESULTS.get(code, RecordResult.FAILED)] += 1


def _action(request: _RecordRequest) -> RecordAction:
    match request:
        case ReadPairRecord():
            return RecordAction.READ
        case SavePairRecord():
            return RecordAction.SAVE
        case DeletePairRecord():
            return RecordAction.DELETE
        case _:
            assert_never(request)


def _refusal(request: _RecordRequest, asker: Asker) -> int:
    """Why the client may not do that to the pair record of that phone, or 0."""
    access = RecordAccess.READ if isinstance(request, ReadPairRecord) else RecordAccess.WRITE
    if not (asker.view.allows_records(access) and asker.view.shows(request.record_id)):
        asker.complain("may not %s the pair record of %r", _action(request).value, request.record_id)
        return errno.EACCES
    if not is_record_id(request.record_id):
        asker.complain("pair records: not a UDID: %r", request.record_id)
        return errno.EINVAL
    return 0
