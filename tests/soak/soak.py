"""Many lives, one after the other, until enough steps were taken."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from tests.soak.life import Life

if TYPE_CHECKING:
    from collections.abc import Callable


class SoakFailedError(Exception):
    """A rule was broken, or something else went wrong; the cause tells what. The text tells how to repeat it."""


class Soak:
    """One run. Nothing in it depends on anything but the seed."""

    def __init__(self, seed: int, first_life: int = 0) -> None:
        self.counts: Final[Counter[str]] = Counter()
        self.steps = 0
        self.lives = 0
        self._seed = seed
        self._next_life = first_life

    def run(self, most_steps: int, is_enough: Callable[[], bool] = lambda: False) -> None:
        """Take that many steps, or fewer if it `is_enough` after a life.

        Raises:
            SoakFailedError: With the last steps.
        """
        while self.steps < most_steps and not is_enough():
            self._live(most_steps - self.steps)

    def _live(self, most_steps: int) -> None:
        number = self._next_life
        self._next_life += 1
        life = Life(self._seed, number, self.counts)
        try:
            self.steps += life.run(most_steps)
        except Exception as error:
            raise SoakFailedError(self._report(life, number, error)) from error
        self.lives += 1

    def _report(self, life: Life, number: int, error: Exception) -> str:
        lines = [" ".join(str(part) for part in step) for step in life.journal]
        return "\n".join(
            (
                f"seed {self._seed}, life {number}, step {life.steps} of it: {error}",
                f"mux version {life.version}, {life.options}, {life.settings}",
                *lines,
                f"to repeat: --seed {self._seed} --life {number} --steps {life.steps}",
            )
        )
