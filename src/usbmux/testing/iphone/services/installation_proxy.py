"""com.apple.mobile.installation_proxy: what is installed, and nothing that would change it."""

from collections.abc import Iterator, Mapping
from typing import Final

from usbmux.testing.iphone.byte_stream import ByteStream
from usbmux.testing.iphone.plist_stream import read_plist, write_plist
from usbmux.testing.iphone.services.application import Application, ApplicationKind
from usbmux.testing.iphone.services.context import ServiceContext

BATCH: Final = 10
"""How many applications one answer to Browse holds."""
_COMPLETE: Final = {"Status": "Complete"}
_REFUSALS: Final = {
    "Archive": "NotEntitled",
    "Install": "InstallProhibited",
    "RemoveArchive": "NotEntitled",
    "Restore": "InstallProhibited",
    "Uninstall": "UninstallProhibited",
    "Upgrade": "InstallProhibited",
}


async def installation_proxy(stream: ByteStream, phone: ServiceContext) -> None:
    """Answer Browse, Lookup and LookupArchives, and refuse the rest, until the host ends."""
    while (request := await read_plist(stream)) is not None:
        for answer in _answers(request, phone.applications):
            await write_plist(stream, answer)


def _answers(request: Mapping[object, object], installed: tuple[Application, ...]) -> Iterator[Mapping[str, object]]:
    command = request.get("Command")
    options = request.get("ClientOptions")
    wanted = _Query(options if isinstance(options, dict) else {})
    match command:
        case "Browse":
            yield from _browse([wanted.attributes(each) for each in installed if wanted.is_met_by(each)])
        case "Lookup":
            found = {each.identifier: wanted.attributes(each) for each in installed if wanted.is_met_by(each)}
            yield {"LookupResult": found, **_COMPLETE}
        case "LookupArchives":
            yield {"LookupResult": {}, **_COMPLETE}
        case None:
            yield _error("MissingCommand", "the request names no command")
        case str() if command in _REFUSALS:
            yield _error(_REFUSALS[command], "applications of this phone do not change")
        case _:
            yield _error("UnknownCommand", "the command is not known")


def _browse(found: list[dict[str, object]]) -> Iterator[Mapping[str, object]]:
    for index in range(0, len(found), BATCH):
        batch = found[index : index + BATCH]
        yield {
            "CurrentAmount": len(batch),
            "CurrentIndex": index,
            "CurrentList": batch,
            "Status": "BrowsingApplications",
            "Total": len(found),
        }
    yield _COMPLETE


def _error(name: str, description: str) -> Mapping[str, object]:
    return {"Error": name, "ErrorDescription": description}


class _Query:
    """Which applications a host asks for, and what of them; options of the wrong type are as if absent."""

    def __init__(self, options: Mapping[object, object]) -> None:
        self._kind = options.get("ApplicationType")
        self._identifiers = _texts(options.get("BundleIDs"))
        self._names = _texts(options.get("ReturnAttributes"))

    def is_met_by(self, application: Application) -> bool:
        if self._identifiers is not None and application.identifier not in self._identifiers:
            return False
        if isinstance(self._kind, str) and self._kind != "Any":
            return application.kind.value == self._kind
        return self._kind == "Any" or application.kind is not ApplicationKind.HIDDEN

    def attributes(self, application: Application) -> dict[str, object]:
        everything = application.attributes()
        if self._names is None:
            return everything
        return {name: everything[name] for name in everything if name in self._names}


def _texts(value: object) -> frozenset[str] | None:
    if not isinstance(value, list):
        return None
    return frozenset(each for each in value if isinstance(each, str))
