"""com.apple.mobile.mobile_image_mounter over a stream in memory."""

import pytest

from tests.testing.iphone.services.scene import Phone, Values, served
from usbmux.testing.iphone.services.mobile_image_mounter import mobile_image_mounter

DEVELOPER = Phone(identity=Values({("com.apple.security.mac.amfi", "DeveloperModeStatus"): True}))


@pytest.mark.asyncio
async def test_images_asked_for_none() -> None:
    async with served(mobile_image_mounter) as host:
        answer = await host.ask({"Command": "LookupImage", "ImageType": "Developer"})
        assert answer == {"ImagePresent": False, "ImageSignature": [], "Status": "Complete"}
        assert await host.ask({"Command": "CopyDevices"}) == {"EntryList": [], "Status": "Complete"}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("phone", "status", "detail"), [(Phone(), False, "Developer mode is not enabled"), (DEVELOPER, True, "Virtual")]
)
async def test_image_offered_refused_with_the_reason(phone: Phone, status: bool, detail: str) -> None:
    async with served(mobile_image_mounter, phone) as host:
        answer = await host.ask({"Command": "QueryDeveloperModeStatus"})
        assert answer == {"DeveloperModeStatus": status, "Status": "Complete"}
        for command in ("ReceiveBytes", "MountImage"):
            refusal = await host.ask({"Command": command, "ImageType": "Developer", "ImageSize": 5})
            assert refusal["Error"] == "ImageMountFailed"
            assert detail in str(refusal["DetailedError"])


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"Command": "UnmountImage", "MountPath": "/Developer"}, "InternalError"),
        ({"Command": "QueryNonce"}, "UnknownCommand"),
        ({"Command": 5}, "UnknownCommand"),
        ({}, "MissingCommand"),
    ],
)
async def test_other_command_refused(message: dict[str, object], error: str) -> None:
    async with served(mobile_image_mounter) as host:
        assert (await host.ask(message))["Error"] == error


@pytest.mark.asyncio
async def test_hangup_answered_and_left() -> None:
    async with served(mobile_image_mounter) as host:
        assert await host.ask({"Command": "Hangup"}) == {"Goodbye": True}
        assert await host.is_left()
