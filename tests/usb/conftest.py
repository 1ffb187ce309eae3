from __future__ import annotations

import pytest

from tests.usb.reads import Events
from tests.usb.scripted_endpoint import ScriptedEndpoint


@pytest.fixture
def endpoint() -> ScriptedEndpoint:
    return ScriptedEndpoint()


@pytest.fixture
def events() -> Events:
    return Events()
