"""Fixtures for pytest: virtual iPhones behind a daemon; they need the extra ``testing``.

pytest finds this module by itself where `usbmux` is installed, so importing it must cost nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, Unpack

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Protocol

    from usbmux.testing import PhoneOptions, PortHandler, RunningDaemon
    from usbmux.testing.iphone import (
        Application,
        DeviceKey,
        FileTree,
        Identity,
        LockdownFaults,
        Service,
        ServiceFaults,
        TlsOptions,
        Trust,
        VirtualIPhone,
    )

    class NewVirtualIPhone(Protocol):
        """Makes a virtual iPhone and plugs it in."""

        def __call__(self, **options: Unpack[VirtualIPhoneOptions]) -> VirtualIPhone:
            """Each one has a UDID and a name of its own, unless `identity` says otherwise."""


class VirtualIPhoneOptions(TypedDict, total=False):
    """The arguments of `usbmux.testing.iphone.VirtualIPhone`."""

    identity: Identity
    services: Mapping[str, Service]
    files: FileTree
    crash_reports: FileTree
    applications: tuple[Application, ...]
    ports: Mapping[int, PortHandler]
    trust: Trust
    key: DeviceKey
    mux_version: int
    options: PhoneOptions
    tls: TlsOptions
    faults: LockdownFaults
    service_faults: ServiceFaults
    service_port_s: float
    restart_s: float
    springboard_s: float
    now: Callable[[], float]


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known."""
    config.addinivalue_line(
        "markers",
        "virtual_iphone(**options): what the fixture virtual_iphone is made with, see usbmux.testing.iphone",
    )


@pytest.fixture
def virtual_iphone_options() -> VirtualIPhoneOptions:
    """What `virtual_iphone` is made with; to be overridden for a module or a class, markers come on top."""
    return {}


@pytest.fixture
def virtual_iphone(request: pytest.FixtureRequest, virtual_iphone_options: VirtualIPhoneOptions) -> VirtualIPhone:
    """A virtual iPhone, which `usbmuxd` has plugged in."""
    from usbmux.testing.iphone import VirtualIPhone

    options: VirtualIPhoneOptions = {**virtual_iphone_options}
    for marker in reversed(list(request.node.iter_markers("virtual_iphone"))):  # the closest one comes last
        if marker.args:
            raise pytest.UsageError("the marker virtual_iphone takes arguments by name only")
        options.update(marker.kwargs)
    return VirtualIPhone(**options)


@pytest.fixture
def usbmuxd(virtual_iphone: VirtualIPhone, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningDaemon]:
    """A daemon with `virtual_iphone`; during the test the environment leads every program to it."""
    from usbmux.testing import RunningDaemon

    with RunningDaemon([virtual_iphone]) as daemon:
        for name, value in daemon.environment.items():
            monkeypatch.setenv(name, value)
        yield daemon


@pytest.fixture
def new_virtual_iphone(usbmuxd: RunningDaemon) -> NewVirtualIPhone:
    """Makes more virtual iPhones and plugs them in; clients see them a moment later."""
    from usbmux.testing.iphone import VirtualIPhone
    from usbmux.testing.iphone.phone_file import default_identity

    def make(**options: Unpack[VirtualIPhoneOptions]) -> VirtualIPhone:
        # The first phone of all has another UDID than any of these.
        arguments: VirtualIPhoneOptions = {"identity": default_identity(len(usbmuxd.phones)), **options}
        iphone = VirtualIPhone(**arguments)
        usbmuxd.plug(iphone)
        return iphone

    return make
