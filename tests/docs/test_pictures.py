"""The pictures of commands in the documentation are what these draw now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.screenshots.__main__ import main
from tests.packaging.tools import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

PICTURES = PROJECT / "docs/pictures"


def test_pictures_are_what_the_commands_draw(tmp_path: Path) -> None:
    """If the new ones are right: `make docs` takes them over."""
    main(tmp_path)
    drawn = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert drawn.keys() == {"top.svg", "doctor.svg"}
    assert drawn == {path.name: path.read_text(encoding="utf-8") for path in PICTURES.iterdir()}


def test_pictures_ask_no_other_computer_for_anything() -> None:
    for path in PICTURES.iterdir():
        text = path.read_text(encoding="utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "").replace("url(#", "")
        assert "url(" not in text
        assert "://" not in text.replace("unix:/", "")
