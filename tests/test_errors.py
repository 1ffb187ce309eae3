from __future__ import annotations

import copy
import errno
import multiprocessing
import pickle
import re
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

import pytest

from usbmux import errors
from usbmux.errors import (
    LockdownError,
    PortRefusedError,
    RemoteProtocolError,
    RequestError,
    UsbError,
    UsbmuxError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def one_of_each() -> Iterator[UsbmuxError]:
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, UsbmuxError):
            yield kind(3, "what was asked") if issubclass(kind, RequestError) else kind("what went wrong")
    yield RemoteProtocolError("what came", b"\x00\x01")
    yield LockdownError("what was asked", "MissingValue")
    yield UsbError(errno.EIO, "the cable")


@pytest.mark.parametrize("error", list(one_of_each()), ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_error_copied_or_pickled_is_the_same(again: Callable[[UsbmuxError], UsbmuxError], error: UsbmuxError) -> None:
    error.add_note("seen in the lab")
    copied = again(error)
    assert (type(copied), str(copied), copied.args) == (type(error), str(error), error.args)
    assert vars(copied) == vars(error)


def test_tree_of_the_docstring_has_every_error_below_what_it_derives_from() -> None:
    drawn: dict[str, int] = {}
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"( {4,})(\w+Error)\b", line):
            parents = [name for name, depth in drawn.items() if depth < len(match[1])]
            drawn[match[2]] = len(match[1])
            if parents:
                assert parents[-1] == vars(errors)[match[2]].__bases__[0].__name__
    assert drawn.keys() == {type(error).__name__ for error in one_of_each()}


def _refuse(number: int) -> int:
    raise PortRefusedError(number, "refused")


def test_error_raised_in_another_process_reaches_the_one_that_waits() -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        refused = pool.submit(_refuse, 3)
        with pytest.raises(PortRefusedError, match="refused") as caught:
            refused.result(60)
        assert caught.value.result == 3
