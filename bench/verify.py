"""Before anything is measured: whether every byte arrives. The measurements themselves look at samples only."""

from typing import Final

from bench.link import UNLIMITED
from bench.load import run_load
from bench.rows import PACKETS
from bench.stand import Stand
from bench.subject import SUBJECTS

_SECONDS: Final = 0.3
_DIGEST_BYTES: Final = 8 << 20
_CONNECTIONS: Final = 4


def verify_subjects(stand: Stand) -> dict[str, int]:
    """Have both daemons carry bytes both ways at once, with packets of every size, and compare all of them.

    Returns:
        How many bytes were compared for each daemon.

    Raises:
        BenchError: One was wrong, or missing, or came twice.
    """
    compared = dict.fromkeys(SUBJECTS, 0)
    for subject in SUBJECTS:
        daemon = stand.daemon(subject, UNLIMITED)
        daemon.tell_phone("check 1")
        for segment in PACKETS.values():
            daemon.tell_phone(f"segment {segment}")
            load = (f"connections={_CONNECTIONS}", f"seconds={_SECONDS}", "check=1")
            found = run_load(stand.tools, daemon, "duplex", *load)
            compared[subject] += int(found["received"] + found["sunk"])
        run_load(stand.tools, daemon, "digest", f"size={_DIGEST_BYTES}")
        compared[subject] += _DIGEST_BYTES
        daemon.tell_phone("check 0")
    stand.clear()
    return compared
