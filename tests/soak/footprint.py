"""How many bytes hang on an object."""

from __future__ import annotations

import gc
import sys
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Final

_NOT_ITS_OWN: Final = (type, FunctionType, MethodType, BuiltinFunctionType, ModuleType)


def footprint(subject: object) -> int:
    """The size of everything that can be reached from `subject`, code aside."""
    seen: set[int] = set()
    waiting = [subject]
    size = 0
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, _NOT_ITS_OWN):
            continue
        seen.add(id(one))
        size += sys.getsizeof(one)
        waiting += gc.get_referents(one)
    return size
