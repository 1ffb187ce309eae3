"""The site is made without a warning, from this computer alone."""

from __future__ import annotations

import html.parser
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.docs.page import ROOT, pages
from tests.interop.programs import sphinx_build
from tests.support.daemon import clean_environment

if TYPE_CHECKING:
    from pathlib import Path

WITHIN_S = 240


class Loaded(html.parser.HTMLParser):
    """What a browser loads for a page by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "link" and given.get("rel") in {"stylesheet", "preload", "icon"}:
            self.addresses.append(given.get("href") or "")
        if tag in {"script", "img", "iframe"} and given.get("src"):
            self.addresses.append(given["src"] or "")


@pytest.mark.slow
@pytest.mark.interop
@pytest.mark.timeout(300)
def test_site_is_made_without_a_warning_and_needs_nobody_else(tmp_path: Path) -> None:
    command = [sphinx_build(), "-n", "-W", "-q", "-d", str(tmp_path / "doctrees"), "-b", "html", "docs"]
    made = subprocess.run(
        [*command, str(tmp_path / "site")],
        cwd=ROOT,
        env=clean_environment(PYTHONPATH=str(ROOT / "src")),
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    expected = {page.removeprefix("docs/").replace(".md", ".html") for page in pages() if page.startswith("docs/")}
    site = tmp_path / "site"
    there = {file.relative_to(site).as_posix() for file in site.rglob("*.html")}
    assert expected - there == set()
    for page in sorted(expected):
        loaded = Loaded()
        loaded.feed((site / page).read_text(encoding="utf-8"))
        assert loaded.addresses != []
        assert [address for address in loaded.addresses if "//" in address] == []
