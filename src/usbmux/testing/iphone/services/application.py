"""An application that is installed on a virtual iPhone."""

from enum import StrEnum
from typing import Final

from usbmux.values import frozen


class ApplicationKind(StrEnum):
    """Whom it belongs to; hosts ask for one of them."""

    SYSTEM = "System"
    USER = "User"
    HIDDEN = "Hidden"


@frozen
class Application:
    """What the phone knows of an application; sizes are in bytes."""

    identifier: str
    """Its bundle identifier, such as ``com.example.notes``."""
    name: str
    """Its name on the screen, and that of its executable."""
    version: str = "1.0"
    build: str = "1"
    kind: ApplicationKind = ApplicationKind.USER
    shares_files: bool = True
    """Whether hosts may see its documents."""
    static_size: int = 4 << 20
    dynamic_size: int = 1 << 20

    @property
    def path(self) -> str:
        """Where its bundle is."""
        if self.kind is ApplicationKind.USER:
            return f"/private/var/containers/Bundle/Application/{self.identifier}/{self.name}.app"
        return f"/Applications/{self.name}.app"

    @property
    def container(self) -> str:
        """Where its data is."""
        return f"/private/var/mobile/Containers/Data/Application/{self.identifier}"

    def attributes(self) -> dict[str, object]:
        """What a host can ask of it, under the names that it asks by."""
        return {
            "ApplicationType": self.kind.value,
            "CFBundleDisplayName": self.name,
            "CFBundleExecutable": self.name,
            "CFBundleIdentifier": self.identifier,
            "CFBundleInfoDictionaryVersion": "6.0",
            "CFBundleName": self.name,
            "CFBundlePackageType": "APPL",
            "CFBundleShortVersionString": self.version,
            "CFBundleVersion": self.build,
            "Container": self.container,
            "DynamicDiskUsage": self.dynamic_size,
            "MinimumOSVersion": "15.0",
            "Path": self.path,
            "StaticDiskUsage": self.static_size,
            "UIDeviceFamily": [1],
            "UIFileSharingEnabled": self.shares_files,
        }


def _system(identifier: str, name: str, version: str) -> Application:
    return Application(identifier, name, version, kind=ApplicationKind.SYSTEM, shares_files=False)


DEFAULT_APPLICATIONS: Final = (
    _system("com.apple.mobilesafari", "MobileSafari", "16.6"),
    _system("com.apple.Preferences", "Preferences", "1.0"),
    _system("com.apple.mobileslideshow", "MobileSlideShow", "1.0"),
    Application("com.example.notes", "Notes"),
)
"""What is installed unless somebody says otherwise."""
