"""Runs the daemon and counts its calls: counted.py OUTPUT PROGRAM ARGUMENTS. SIGALRM begins, and another one ends it.

A file of its own, started by its path: what it imports is imported in the daemon.
"""

import cProfile
import runpy
import signal
import sys


def main() -> None:
    """Take the program's place."""
    output, sys.argv = sys.argv[1], sys.argv[2:]
    profile = cProfile.Profile()
    counting = False

    def toggle(_number: int, _frame: object) -> None:
        nonlocal counting
        counting = not counting
        if counting:
            profile.enable()
        else:
            profile.disable()
            profile.dump_stats(output)

    signal.signal(signal.SIGALRM, toggle)
    runpy.run_path(sys.argv[0], run_name="__main__")


main()
