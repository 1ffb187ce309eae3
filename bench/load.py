"""Runs bench/loadgen: clients that do one thing over and over."""

import json
import subprocess
from collections.abc import Sequence
from typing import Final, Protocol, Self, cast

from bench.build import BenchError, Tools

_PATIENCE_S: Final = 120.0
_LAST_WORDS: Final = 2000

Measured = dict[str, float]
"""What bench/loadgen has printed: names with their units, and numbers."""


class Loaded(Protocol):
    """A running program that can be put under load."""

    @property
    def where(self) -> Sequence[str]:
        """The settings of bench/loadgen that lead to it."""

    def stop(self) -> str:
        """End it. Returns: its name, and all that it has written."""


def run_load(tools: Tools, program: Loaded, *arguments: str) -> Measured:
    """Put a load on a program and wait for the end; the mode and its settings stand in bench/loadgen/main.c.

    Raises:
        BenchError: A client or the emulated phone met something wrong.
    """
    command = [str(tools.load), *arguments, *program.where]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(arguments)}: {done.stderr.strip()}\n{program.stop()[-_LAST_WORDS:]}")
    return cast(Measured, json.loads(done.stdout))


class HeldClients:
    """Clients that do nothing while the block is entered."""

    def __init__(self, tools: Tools, program: Loaded, *arguments: str) -> None:
        command = [str(tools.load), "hold", *arguments, *program.where]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            self._process.wait()
            raise BenchError("the clients could not be held")
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.communicate(timeout=_PATIENCE_S)
