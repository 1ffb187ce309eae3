"""Draws the pictures of the documentation: ``python -m scripts.screenshots DIRECTORY``."""

import asyncio
import sys
from pathlib import Path

from scripts.screenshots.doctor import draw_doctor
from scripts.screenshots.top import draw_top


def main(directory: Path) -> None:
    """Write everything into the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "top.svg").write_text(asyncio.run(draw_top()), encoding="utf-8")
    (directory / "doctor.svg").write_text(draw_doctor(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
