"""A long random run of the engine against the strict simulated phone; `scripts/soak` calls this."""

from __future__ import annotations

import argparse
import resource
import sys
import time
import traceback
from secrets import randbelow

from tests.soak.soak import Soak, SoakFailedError


def main() -> None:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--seed", type=int, default=randbelow(2**32), help="everything follows from it; else random")
    parser.add_argument("--life", type=int, default=0, help="begin with this life (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=10_000_000, help="how many (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after the life that is on by then")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    started = time.monotonic()
    soak = Soak(arguments.seed, arguments.life)
    try:
        soak.run(arguments.steps, lambda: time.monotonic() - started >= arguments.seconds)
    except SoakFailedError as error:
        traceback.print_exception(error.__cause__)
        sys.exit(f"soak: {error}")
    finally:
        elapsed = time.monotonic() - started
        print(f"seed {arguments.seed}: {soak.steps} steps in {soak.lives} lives, {elapsed:.0f} s", end="")
        print(f", {soak.steps / elapsed:.0f} steps/s, {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MiB")
        for name, count in sorted(soak.counts.items()):
            print(f"{count:12} {name}")


if __name__ == "__main__":
    main()
