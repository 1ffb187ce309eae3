"""Prints the attached phones, and what the daemon says of itself."""

from usbmux import Client, PairRecordNotFoundError

client = Client(program="list_phones")
print("this computer pairs as", client.buid())
for device in client.devices():
    try:
        record = client.read_pair_record(device.udid)
        print(device.udid, f"with a pair record of {len(record)} bytes")
    except PairRecordNotFoundError:
        print(device.udid, "never paired")
for listener in client.listeners():
    print("watched by", listener.program)
