from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import pytest

from usbmux.commands.descriptors import RESERVED, allowed_by_descriptors
from usbmux.daemon.admission import ClientLimits

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def same_limit_afterwards() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(
    ("descriptors", "total"),
    [(40, 20), (2 * RESERVED, RESERVED), (1000, 1000 - RESERVED), (500 + RESERVED, 500), (501 + RESERVED, 501)],
)
def test_descriptors_are_fewer_than_clients_some_are_left_for_the_rest(descriptors: int, total: int) -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, hard))
    assert allowed_by_descriptors(ClientLimits(8192, 100)) == ClientLimits(total, 100)


def test_descriptors_are_enough_limits_stay() -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (500 + RESERVED, hard))
    assert allowed_by_descriptors(ClientLimits(500, 100)) == ClientLimits(500, 100)
