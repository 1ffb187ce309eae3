"""com.apple.mobile.house_arrest: the files of one application; after its answer the connection is AFC."""

from collections.abc import Mapping
from typing import Final

from usbmux.testing.iphone.afc.faults import AfcFaults
from usbmux.testing.iphone.afc.file_tree import FileTree
from usbmux.testing.iphone.afc.memory_tree import MemoryTree
from usbmux.testing.iphone.afc.service import serve_files
from usbmux.testing.iphone.byte_stream import ByteStream
from usbmux.testing.iphone.plist_stream import read_plist, write_plist
from usbmux.testing.iphone.services.application import Application, ApplicationKind
from usbmux.testing.iphone.services.context import ServiceContext

_DOCUMENTS: Final = "Documents"
_CONTAINER_DIRECTORIES: Final = (_DOCUMENTS, "Library/Caches", "Library/Preferences", "SystemData", "tmp")


def container_tree() -> MemoryTree:
    """A tree in memory as an application finds it when it is new."""
    return MemoryTree(directories=_CONTAINER_DIRECTORIES)


class HouseArrest:
    """The service for all applications of one phone.

    Args:
        containers: The files of applications by bundle identifier; `container_tree` for any other, made when a host
            asks for it first.
        faults: What AFC is to do wrong; may be replaced at any time, for the connections to come.
    """

    def __init__(self, containers: Mapping[str, FileTree] | None = None, faults: AfcFaults | None = None) -> None:
        self.containers: Final[dict[str, FileTree]] = dict(containers or {})
        """By bundle identifier."""
        self.faults = faults

    async def __call__(self, stream: ByteStream, phone: ServiceContext) -> None:
        """Serve one connection until the host ends it; after a refusal the host may ask again.

        Raises:
            ConnectionResetError: The host ended it while it was sent something.
            RemoteProtocolError: The host sent what is neither a property list nor, later, an AFC packet.
        """
        while (request := await read_plist(stream)) is not None:
            command, identifier = request.get("Command"), request.get("Identifier")
            application = next((each for each in phone.applications if each.identifier == identifier), None)
            error = _refusal(command, application)
            if error is None and application is not None:
                await write_plist(stream, {"Status": "Complete"})
                await self._serve(stream, phone, application, only_documents=command == "VendDocuments")
                return
            await write_plist(stream, {"Error": error})

    async def _serve(
        self, stream: ByteStream, phone: ServiceContext, application: Application, *, only_documents: bool
    ) -> None:
        tree = self.containers.get(application.identifier)
        if tree is None:
            tree = self.containers[application.identifier] = container_tree()
        is_visible = _is_documents if only_documents else _is_anything
        await serve_files(stream, phone, tree, is_visible=is_visible, faults=self.faults)


def _refusal(command: object, application: Application | None) -> str | None:
    if application is None:
        return "InstallationLookupFailed"
    match command:
        case "VendDocuments":
            return None if application.shares_files else "InstallationLookupFailed"
        case "VendContainer":
            return None if application.kind is ApplicationKind.USER else "InstallationLookupFailed"
        case _:
            return "UnknownCommand"


def _is_documents(name: str) -> bool:
    return name == _DOCUMENTS


def _is_anything(_name: str) -> bool:
    return True
