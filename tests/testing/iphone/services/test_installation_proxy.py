"""com.apple.mobile.installation_proxy over a stream in memory."""

from collections.abc import Mapping

import pytest

from tests.testing.iphone.services.scene import Phone, served
from usbmux.testing.iphone.services.application import DEFAULT_APPLICATIONS, Application, ApplicationKind
from usbmux.testing.iphone.services.installation_proxy import BATCH, installation_proxy

APPLICATIONS = (
    Application("com.apple.mobilesafari", "MobileSafari", kind=ApplicationKind.SYSTEM),
    Application("com.example.notes", "Notes", "2.1", "210"),
    Application("com.example.agent", "Agent", kind=ApplicationKind.HIDDEN),
)
PHONE = Phone(applications=APPLICATIONS)
IDENTIFIERS = {"ReturnAttributes": ["CFBundleIdentifier"]}


async def ask(command: object, options: object = None, phone: Phone = PHONE) -> list[Mapping[object, object]]:
    """All answers to one request."""
    request: dict[str, object] = {"Command": command, "ClientOptions": options}
    async with served(installation_proxy, phone) as host:
        await host.send({key: value for key, value in request.items() if value is not None})
        answers = [await host.receive()]
        while answers[-1].get("Status") == "BrowsingApplications":
            answers.append(await host.receive())
    return answers


@pytest.mark.asyncio
async def test_browse_of_many_in_batches() -> None:
    count = 2 * BATCH + 1
    many = Phone(applications=tuple(Application(f"com.example.a{index}", f"A{index}") for index in range(count)))
    *batches, last = await ask("Browse", IDENTIFIERS, many)
    assert last == {"Status": "Complete"}
    assert [(batch["CurrentIndex"], batch["CurrentAmount"], batch["Total"]) for batch in batches] == [
        (0, BATCH, count),
        (BATCH, BATCH, count),
        (2 * BATCH, 1, count),
    ]
    found = [each for batch in batches for each in _list(batch["CurrentList"])]
    assert found == [{"CFBundleIdentifier": f"com.example.a{index}"} for index in range(count)]


def _list(value: object) -> list[object]:
    assert isinstance(value, list)
    return value


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (None, ["com.apple.mobilesafari", "com.example.notes"]),
        ({}, ["com.apple.mobilesafari", "com.example.notes"]),
        ({"ApplicationType": "Any"}, ["com.apple.mobilesafari", "com.example.notes", "com.example.agent"]),
        ({"ApplicationType": "System"}, ["com.apple.mobilesafari"]),
        ({"ApplicationType": "User"}, ["com.example.notes"]),
        ({"ApplicationType": "Hidden"}, ["com.example.agent"]),
        ({"ApplicationType": "Internal"}, []),
        ({"ApplicationType": 5}, ["com.apple.mobilesafari", "com.example.notes"]),
        ({"BundleIDs": ["com.example.notes", "com.example.nowhere"]}, ["com.example.notes"]),
        ({"BundleIDs": []}, []),
        ({"BundleIDs": "com.example.notes"}, ["com.apple.mobilesafari", "com.example.notes"]),
        ({"BundleIDs": [5, ["x"], "com.example.notes"]}, ["com.example.notes"]),
        (["Any"], ["com.apple.mobilesafari", "com.example.notes"]),
    ],
)
async def test_browse_and_lookup_find_what_is_asked_for(options: object, expected: list[str]) -> None:
    *batches, _ = await ask("Browse", options)
    found = [application for batch in batches for application in _list(batch["CurrentList"])]
    (answer,) = await ask("Lookup", options)
    looked_up = answer["LookupResult"]
    assert isinstance(looked_up, dict)
    assert list(looked_up) == expected
    assert list(looked_up.values()) == found
    assert answer["Status"] == "Complete"


@pytest.mark.asyncio
async def test_lookup_all_attributes() -> None:
    (answer,) = await ask("Lookup", {"BundleIDs": ["com.example.notes"]})
    assert answer["LookupResult"] == {"com.example.notes": APPLICATIONS[1].attributes()}


@pytest.mark.asyncio
async def test_lookup_of_named_attributes_only_those_that_are() -> None:
    names = ["CFBundleVersion", "CFBundleShortVersionString", "Signer", 5]
    (answer,) = await ask("Lookup", {"BundleIDs": ["com.example.notes"], "ReturnAttributes": names})
    assert answer["LookupResult"] == {
        "com.example.notes": {"CFBundleShortVersionString": "2.1", "CFBundleVersion": "210"}
    }


@pytest.mark.asyncio
async def test_archives_none() -> None:
    assert await ask("LookupArchives") == [{"LookupResult": {}, "Status": "Complete"}]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("command", "error"),
    [
        ("Install", "InstallProhibited"),
        ("Upgrade", "InstallProhibited"),
        ("Uninstall", "UninstallProhibited"),
        ("Archive", "NotEntitled"),
        ("Dance", "UnknownCommand"),
        (5, "UnknownCommand"),
        (["Browse"], "UnknownCommand"),
        (None, "MissingCommand"),
    ],
)
async def test_other_command_refused(command: object, error: str) -> None:
    (answer,) = await ask(command)
    assert answer["Error"] == error
    assert answer["ErrorDescription"]


@pytest.mark.asyncio
async def test_several_requests_on_one_connection_each_answered() -> None:
    async with served(installation_proxy, PHONE) as host:
        for _ in range(3):
            assert (await host.ask({"Command": "Dance"}))["Error"] == "UnknownCommand"


def test_applications_paths_tell_kinds_apart() -> None:
    system, user, _ = APPLICATIONS
    assert system.path == "/Applications/MobileSafari.app"
    assert user.path.startswith("/private/var/containers/Bundle/Application/")
    assert len({application.identifier for application in DEFAULT_APPLICATIONS}) == len(DEFAULT_APPLICATIONS)
