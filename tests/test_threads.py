from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.threads import give_no_thread
from usbmux.threads import call_in_thread

pytestmark = pytest.mark.asyncio


async def test_call_gives_what_the_function_returns() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert await call_in_thread(pool, divmod, 7, 4) == (1, 3)


async def test_call_without_a_thread_is_refused_and_not_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        with monkeypatch.context() as patch:
            give_no_thread(patch)
            with pytest.raises(OSError, match="can't start new thread") as caught:
                call_in_thread(pool, made.append, "refused")
        await call_in_thread(pool, made.append, "asked for later")

    assert caught.value.errno == errno.EAGAIN
    assert made == ["asked for later"]
