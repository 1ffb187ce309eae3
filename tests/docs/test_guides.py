"""The pages for authors name only what is there."""

from __future__ import annotations

import re

import pytest

from tests.docs.page import ROOT
from usbmux import AsyncClient, AsyncLockdownClient, Client, Device, LockdownClient, Watch

OWNERS = {
    "client": (Client, AsyncClient),
    "device": (Device,),
    "lockdown": (LockdownClient, AsyncLockdownClient),
    "watch": (Watch,),
}
ONLY_ASYNC = {"connect_socket"}


def names_after(owner: str, page: str) -> set[str]:
    """What the page has behind a name and a dot; of tables, in the last column alone."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    ours = [line.rstrip("| ").rpartition("|")[2] for line in lines]
    return set(re.findall(rf"(?<![/\w]){owner}\.(\w+)", "\n".join(ours)))


@pytest.mark.parametrize("page", ["docs/migrating.md", "docs/clients.md"])
@pytest.mark.parametrize("owner", OWNERS)
def test_methods_that_a_guide_names_are_there(page: str, owner: str) -> None:
    for kind in OWNERS[owner]:
        named = names_after(owner, page) - (ONLY_ASYNC if kind is Client else set())
        assert [name for name in named if not hasattr(kind, name)] == []


def test_every_method_of_the_client_is_in_the_guide() -> None:
    guide = (ROOT / "docs/clients.md").read_text(encoding="utf-8")
    methods = {name for kind in (Client, AsyncClient) for name in vars(kind) if not name.startswith("_")}
    assert [name for name in sorted(methods) if f"`{name}" not in guide and f".{name}`" not in guide] == []
