from __future__ import annotations

import inspect

import pytest

from usbmux.client.aio import AsyncClient
from usbmux.client.aio_watch import AsyncWatch
from usbmux.client.blocking import Client
from usbmux.client.watch import Watch
from usbmux.lockdown.aio import AsyncLockdownClient
from usbmux.lockdown.aio_stream import AsyncStream
from usbmux.lockdown.blocking import LockdownClient
from usbmux.lockdown.blocking_stream import BlockingStream

SPECIAL_METHODS = {"__enter__": "__aenter__", "__exit__": "__aexit__", "__iter__": "__aiter__", "__next__": "__anext__"}


def public_methods(kind: type) -> dict[str, object]:
    return {name: value for name, value in vars(kind).items() if inspect.isfunction(value) and name[0] != "_"}


def first_line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def test_clients_have_the_same_methods() -> None:
    assert public_methods(AsyncClient).keys() - {"connect_socket"} == public_methods(Client).keys()


def test_watches_have_the_same_methods() -> None:
    assert public_methods(AsyncWatch).keys() == public_methods(Watch).keys() - {"fileno"}
    assert {SPECIAL_METHODS.get(name) for name in vars(Watch) if name in SPECIAL_METHODS} <= vars(AsyncWatch).keys()


def test_lockdown_clients_have_the_same_methods() -> None:
    assert public_methods(AsyncLockdownClient).keys() == public_methods(LockdownClient).keys()
    assert public_methods(AsyncStream).keys() == public_methods(BlockingStream).keys()


@pytest.mark.parametrize(
    ("blocking", "asynchronous"),
    [
        *((vars(Client)[name], vars(AsyncClient)[name]) for name in ["__init__", *public_methods(Client)]),
        *((vars(Watch)[name], vars(AsyncWatch)[name]) for name in public_methods(Watch) if name != "fileno"),
        *((vars(LockdownClient)[name], vars(AsyncLockdownClient)[name]) for name in public_methods(LockdownClient)),
        *((vars(BlockingStream)[name], vars(AsyncStream)[name]) for name in public_methods(BlockingStream)),
    ],
    ids=lambda method: method.__qualname__,
)
def test_twins_have_the_same_parameters_and_contract(blocking: object, asynchronous: object) -> None:
    assert callable(blocking)
    assert callable(asynchronous)
    assert inspect.signature(blocking).parameters == inspect.signature(asynchronous).parameters
    assert first_line(blocking) == first_line(asynchronous)
    assert section(blocking, "Raises:") == section(asynchronous, "Raises:")


def test_only_methods_that_wait_are_coroutines() -> None:
    plain = {name for name, method in public_methods(AsyncClient).items() if not inspect.iscoroutinefunction(method)}
    assert plain == {"watch", "lockdown"}
    assert not any(map(inspect.iscoroutinefunction, public_methods(Client).values()))


def section(thing: object, heading: str) -> str:
    """That part of a docstring, up to the next heading."""
    return (inspect.getdoc(thing) or "").partition(heading)[2].partition("\n\n")[0]
