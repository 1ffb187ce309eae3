"""Blocks that are no command lines: Python that is Python, programs that run, tables that the daemon understands."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
import tomllib

import pytest

from tests.docs.page import ROOT, blocks, pages
from tests.support.daemon import clean_environment
from usbmux.commands.listen_tables import listen_settings, rule
from usbmux.testing import PhoneStream, RunningDaemon, SimulatedPhone

WITHIN_S = 60


def texts(language: str, containing: str = "") -> list[tuple[str, str]]:
    """Page and text of each block in that language."""
    found = [(page, block) for page in pages() for block in blocks((ROOT / page).read_text(encoding="utf-8"))]
    return [(page, block.text) for page, block in found if block.language == language and containing in block.text]


async def greet(stream: PhoneStream) -> None:
    await stream.write(b"hello from port 22\n")


@pytest.mark.parametrize(("page", "text"), texts("python"))
def test_python_imports_only_what_is_there(page: str, text: str) -> None:
    for node in ast.walk(ast.parse(text, page)):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("usbmux"):
            module = importlib.import_module(str(node.module))
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


@pytest.mark.slow
@pytest.mark.parametrize(("page", "text"), texts("python", "client = Client()"))
def test_python_program_runs_with_a_phone(page: str, text: str) -> None:
    phone = SimulatedPhone(ports={22: greet})
    with RunningDaemon([phone]) as daemon:
        variables = daemon.environment | {"PYTHONPATH": str(ROOT / "src")}
        outcome = subprocess.run(
            [sys.executable, "-c", text], env=clean_environment(**variables), capture_output=True, text=True,
            timeout=WITHIN_S, check=False,
        )  # fmt: skip
    assert (outcome.returncode, outcome.stderr) == (0, ""), page
    assert phone.udid in outcome.stdout


@pytest.mark.parametrize(("page", "text"), texts("toml"))
def test_toml_of_listeners_and_rules_is_understood(page: str, text: str) -> None:
    given = tomllib.loads(text)
    for table in given.get("listen", []):
        # The files are not here, and what they are for is tested elsewhere.
        plain = {key: value for key, value in table.items() if not key.startswith("tls-")}
        if plain != table:
            plain["address"] = plain["address"].replace("0.0.0.0", "127.0.0.1")
        listen_settings(plain)
    for table in given.get("rule", []):
        rule(table)
