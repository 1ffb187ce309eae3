"""What a daemon in a fixture can be told."""

from __future__ import annotations

import pytest

from usbmux import Client
from usbmux.testing import RunningDaemon, SimulatedPhone


@pytest.mark.parametrize("keeps_addresses", [True, False])
def test_replugged_phone_has_another_id_and_its_old_address_if_addresses_are_kept(keeps_addresses: bool) -> None:
    phone = SimulatedPhone()
    with RunningDaemon([phone], keeps_addresses=keeps_addresses) as daemon:
        client = Client(daemon.address)
        with client.watch() as watch:
            before = next(watch).device
            daemon.unplug(phone)
            assert next(watch).device.udid == phone.udid
            daemon.plug(phone)
            after = next(watch).device
    assert after.device_id != before.device_id
    assert (after.location_id == before.location_id) == keeps_addresses
