"""Pairs with the phone unless that has been done, and prints what it tells those that it trusts."""

from usbmux import Client, NotPairedError, PairRecordNotFoundError

with Client().lockdown() as phone:
    try:
        phone.start_session()
    except (NotPairedError, PairRecordNotFoundError):
        phone.pair(wait_s=60)  # needs the package cryptography, and somebody who taps Trust
        phone.start_session()
    print(phone.value("DeviceName"))
    print(phone.value("BatteryCurrentCapacity", "com.apple.mobile.battery"), "%")
