"""How many functions are called, counted by cProfile inside the daemon."""

import pstats
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from bench.build import Tools
from bench.looking import group_of, look_inside
from bench.profiled import Profiled

_Function = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls for each operation, the most first."""

    by_group: dict[str, float]
    by_function: dict[str, float]


def count_calls(tools: Tools, profiled: Profiled, seconds: float, folder: Path) -> Calls:
    """Count what ours calls under the load of a row."""
    looked = look_inside(tools, profiled, "counted.py", seconds, folder)
    # Its statistics are a dictionary, of which the stubs do not know.
    stats = cast(dict[_Function, Sequence[int]], pstats.Stats(str(looked.output)).stats)  # type: ignore[attr-defined]
    groups: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for (path, _line, name), (_primitive, count, *_rest) in stats.items():
        groups[group_of(path)] += count
        functions[name if path == "~" else f"{Path(path).name}:{name}"] += count
    times = profiled.times(looked.found, looked.before, looked.after)
    return Calls(*({name: count / times for name, count in each.most_common()} for each in (groups, functions)))
