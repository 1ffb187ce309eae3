"""Runs the daemon and looks where it is: sampled.py OUTPUT PROGRAM ARGUMENTS. SIGALRM begins, and another one ends it.

It looks after each millisecond of CPU time. So what a function calls in C or in the kernel counts as its own, and
sleep counts as nothing. A file of its own, started by its path: what it imports is imported in the daemon.
"""

import runpy
import signal
import sys
from collections import Counter
from types import FrameType

_INTERVAL_S = 0.001


def main() -> None:
    """Take the program's place."""
    output, sys.argv = sys.argv[1], sys.argv[2:]
    stacks: Counter[str] = Counter()
    looking = False

    def look(_number: int, frame: FrameType | None) -> None:
        stack = []
        while frame is not None:
            stack.append(f"{frame.f_code.co_filename}:{frame.f_code.co_qualname}")
            frame = frame.f_back
        stacks[";".join(reversed(stack))] += 1

    def toggle(_number: int, _frame: object) -> None:
        nonlocal looking
        looking = not looking
        interval_s = _INTERVAL_S if looking else 0
        signal.setitimer(signal.ITIMER_PROF, interval_s, interval_s)
        if not looking:
            with open(output, "w", encoding="utf-8") as file:
                file.writelines(f"{stack} {count}\n" for stack, count in stacks.items())

    signal.signal(signal.SIGPROF, look)
    signal.signal(signal.SIGALRM, toggle)
    runpy.run_path(sys.argv[0], run_name="__main__")


main()
