"""com.apple.mobile.mobile_image_mounter: no image is mounted, and none will be."""

from collections.abc import Mapping

from usbmux.testing.iphone.byte_stream import ByteStream
from usbmux.testing.iphone.plist_stream import read_plist, write_plist
from usbmux.testing.iphone.services.context import ServiceContext


async def mobile_image_mounter(stream: ByteStream, phone: ServiceContext) -> None:
    """Say that nothing is mounted and refuse to change that, until the host ends or hangs up.

    Hosts see a phone whose developer mode is off, unless its values say otherwise.
    """
    status = phone.identity.value("DeveloperModeStatus", "com.apple.security.mac.amfi")
    while (request := await read_plist(stream)) is not None:
        await write_plist(stream, _answer(request, has_developer_mode=status is True))
        if request.get("Command") == "Hangup":
            return


def _answer(request: Mapping[object, object], *, has_developer_mode: bool) -> Mapping[str, object]:
    match request.get("Command"):
        case "LookupImage":
            return {"ImagePresent": False, "ImageSignature": [], "Status": "Complete"}
        case "CopyDevices":
            return {"EntryList": [], "Status": "Complete"}
        case "QueryDeveloperModeStatus":
            return {"DeveloperModeStatus": has_developer_mode, "Status": "Complete"}
        case "ReceiveBytes" | "MountImage":
            detail = "Virtual phones mount no images." if has_developer_mode else "Developer mode is not enabled."
            return _error("ImageMountFailed", detail)
        case "UnmountImage":
            return _error("InternalError", "There is no matching entry in the device map.")
        case "Hangup":
            return {"Goodbye": True}
        case None:
            return _error("MissingCommand", "The request names no command.")
        case _:
            return _error("UnknownCommand", "The command is not known.")


def _error(name: str, detail: str) -> Mapping[str, object]:
    return {"Error": name, "DetailedError": detail}
