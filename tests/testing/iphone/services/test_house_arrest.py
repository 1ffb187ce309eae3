import pytest

from tests.testing.iphone.afc.afc_host import packet
from tests.testing.iphone.afc.afc_stream import ask, read_answer
from tests.testing.iphone.services.scene import Phone, served
from usbmux.lockdown.plist_frame import encode
from usbmux.testing.iphone.afc.codec import Operation, Status
from usbmux.testing.iphone.afc.faults import AfcFaults
from usbmux.testing.iphone.afc.memory_tree import MemoryTree
from usbmux.testing.iphone.services.application import Application, ApplicationKind
from usbmux.testing.iphone.services.house_arrest import HouseArrest

SHARING = Application("com.example.sharing", "Sharing")
PRIVATE = Application("com.example.private", "Private", shares_files=False)
SYSTEM = Application("com.apple.system", "System", kind=ApplicationKind.SYSTEM, shares_files=False)
PHONE = Phone(applications=(SHARING, PRIVATE, SYSTEM))


def vend(command: str, application: Application) -> dict[str, object]:
    return {"Command": command, "Identifier": application.identifier}


@pytest.mark.asyncio
async def test_container_is_served_behind_the_answer() -> None:
    tree = MemoryTree({"Documents/note": b"text", "Library/settings": b""})
    async with served(HouseArrest({SHARING.identifier: tree}), PHONE) as host:
        assert await host.ask(vend("VendContainer", SHARING)) == {"Status": "Complete"}
        assert (await ask(host, Operation.READ_DIRECTORY, b"/")).texts == [".", "..", "Documents", "Library"]
        assert (await ask(host, Operation.FILE_INFO, b"/Documents/note")).pairs["st_size"] == "4"


@pytest.mark.asyncio
async def test_documents_are_all_that_their_host_can_reach() -> None:
    tree = MemoryTree({"Documents/note": b"text", "Library/settings": b""})
    async with served(HouseArrest({SHARING.identifier: tree}), PHONE) as host:
        assert await host.ask(vend("VendDocuments", SHARING)) == {"Status": "Complete"}
        assert (await ask(host, Operation.READ_DIRECTORY, b"/")).texts == [".", "..", "Documents"]
        assert (await ask(host, Operation.READ_DIRECTORY, b"/Documents")).texts == [".", "..", "note"]
        assert (await ask(host, Operation.FILE_INFO, b"/Library/settings")).status is Status.DENIED


@pytest.mark.asyncio
async def test_container_nobody_gave_is_new_and_stays() -> None:
    service = HouseArrest()
    async with served(service, PHONE) as host:
        await host.ask(vend("VendDocuments", SHARING))
        assert (await ask(host, Operation.MAKE_DIRECTORY, b"/Documents/made")).status is Status.OK
    async with served(service, PHONE) as host:
        await host.ask(vend("VendContainer", SHARING))
        assert (await ask(host, Operation.READ_DIRECTORY, b"/Documents")).texts == [".", "..", "made"]
    assert list(service.containers) == [SHARING.identifier]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (vend("VendDocuments", PRIVATE), "InstallationLookupFailed"),
        (vend("VendContainer", SYSTEM), "InstallationLookupFailed"),
        (vend("VendAnything", SHARING), "UnknownCommand"),
        ({"Command": "VendContainer", "Identifier": "com.example.none"}, "InstallationLookupFailed"),
        ({"Command": "VendContainer", "Identifier": 5}, "InstallationLookupFailed"),
        ({"Command": "VendContainer"}, "InstallationLookupFailed"),
        ({}, "InstallationLookupFailed"),
    ],
)
async def test_refused_host_may_ask_again(request_: dict[str, object], error: str) -> None:
    async with served(HouseArrest(), PHONE) as host:
        assert await host.ask(request_) == {"Error": error}
        assert await host.ask(vend("VendContainer", PRIVATE)) == {"Status": "Complete"}
        assert (await ask(host, Operation.DEVICE_INFO)).pairs


@pytest.mark.asyncio
async def test_afc_that_comes_with_the_request_is_answered() -> None:
    async with served(HouseArrest(), PHONE) as host:
        await host.write(encode(vend("VendContainer", SHARING)) + packet(Operation.DEVICE_INFO, number=5))
        assert await host.receive() == {"Status": "Complete"}
        assert (await read_answer(host)).packet_number == 5


@pytest.mark.asyncio
async def test_host_that_sends_no_property_list_is_left() -> None:
    async with served(HouseArrest(), PHONE) as host:
        await host.write(bytes(8))
        assert await host.is_left()
    assert host.blames == ["a property list of 0 bytes"]


@pytest.mark.asyncio
async def test_faults_are_those_of_its_afc() -> None:
    async with served(HouseArrest(faults=AfcFaults(packet_number_offset=1)), PHONE) as host:
        await host.ask(vend("VendContainer", SHARING))
        assert (await ask(host, Operation.DEVICE_INFO)).packet_number == 2
