"""One phone from its first plugging in to its end: rounds of random steps, each brought to rest."""

from __future__ import annotations

from collections import Counter, deque
from random import Random
from typing import Final, Literal

from tests.soak.cable import Cable
from tests.soak.footprint import footprint
from tests.soak.recovery import Recovery
from tests.soak.steps import Steps
from tests.soak.world import World
from usbmux.mux.packet import MAGIC, ControlKind
from usbmux.mux.settings import MuxSettings
from usbmux.testing.options import PhoneOptions

JOURNAL_LENGTH: Final = 50
STEPS_BETWEEN_WEIGHINGS: Final = 5000
FOOTPRINT_A_STREAM: Final = 1 << 20
"""Bytes that a session may hold for each connection that is or was open in this round: a window, and views of it."""
LAST: Final = 2**32
SEQUENCES: Final = (0, 1, LAST - 1, LAST - 2, LAST - 1000, LAST - 70_000, 2**31 - 500)


class Life:
    """Everything in it follows from its seed.

    Args:
        seed: Of the whole run.
        number: Of this life in the run.
        counts: Where everything is counted.
    """

    def __init__(self, seed: int, number: int, counts: Counter[str]) -> None:
        self.journal: Final[deque[tuple[object, ...]]] = deque(maxlen=JOURNAL_LENGTH)
        """The last steps."""
        self.steps = 0
        self._random = random = Random(f"{seed} {number}")
        self._counts = counts
        options = _phone_options(random)
        version = random.choice((1, 2))
        self.settings: Final = _mux_settings(random)
        self.options: Final = options
        self.version: Final = version
        cable = Cable(random, options.max_packet_size, counts)
        self._world = World(random, cable, version, options, self.settings, counts)
        self._steps = Steps(self._world, self.journal, random.choice((1, 2, 8)), random.choice((1, 3, 10, 40)), 0.0)
        self._recovery = Recovery(self._world)

    def run(self, most_steps: int) -> int:
        """Live, but not longer than that many steps; how many there were."""
        random = self._random
        rounds = 100 if random.random() < 0.03 else random.randrange(1, 9)
        for _ in range(rounds):
            self._steps.fault_rate = 0.0 if random.random() < 0.5 else 10 ** random.uniform(-3.5, -1.5)
            length = min(random.randrange(50, 4000), most_steps - self.steps)
            self._run_round(length)
            if self.steps >= most_steps:
                break
        return self.steps

    def _run_round(self, length: int) -> None:
        take = self._steps.take
        for _ in range(length):
            self.steps += 1
            take()
            if self.steps % STEPS_BETWEEN_WEIGHINGS == 0:
                self._weigh()
        self._counts["rounds with faults" if self._world.is_suspect else "rounds without faults"] += 1
        self.journal.append(("brought to rest",))
        self._recovery.run()

    def _weigh(self) -> None:
        bound = FOOTPRINT_A_STREAM * (1 + self._world.stream_count)
        for subject in (self._world.session, self._world.phone.mux):
            size = footprint(subject)
            assert size <= bound, f"{type(subject).__name__} holds {size} bytes"


def _phone_options(random: Random) -> PhoneOptions:
    acknowledge: Literal["delivered", "received"] = random.choice(("delivered", "received"))
    return PhoneOptions(
        max_packet_size=random.choice((64, 512, 1024)),
        window=random.choice((0, 256, 4096, 65536, 131072, 131072, 1 << 20)),
        acknowledge=acknowledge,
        announce_window=acknowledge == "delivered" or random.random() < 0.7,
        initial_sequence=random.choice((*SEQUENCES, random.randrange(LAST))),
        max_segment=random.choice((16, 100, 1460, 16384, 32768, 65000)),
        magic=random.choice((MAGIC, 0xFACEFACE)),
        control_texts=random.choice(((), ((ControlKind.INFO, "hello"),))),
    )


def _mux_settings(random: Random) -> MuxSettings:
    return MuxSettings(
        receive_window=random.choice((256, 1024, 16384, 131072, 131072)),
        max_packet_length=random.choice((600, 1000, 16384, 0xBFFC, 0xBFFC)),
    )
