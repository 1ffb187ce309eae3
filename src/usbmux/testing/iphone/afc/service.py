"""com.apple.afc: the media files of a virtual iPhone."""

from collections.abc import Callable
from typing import Final

from usbmux.testing.iphone.afc.faults import AfcFaults
from usbmux.testing.iphone.afc.file_tree import FileTree
from usbmux.testing.iphone.afc.memory_tree import MemoryTree
from usbmux.testing.iphone.afc.session import AfcSession
from usbmux.testing.iphone.byte_stream import ByteStream
from usbmux.testing.iphone.services.context import ServiceContext

_CHUNK_LENGTH: Final = 1 << 18
_MEDIA_DIRECTORIES: Final = (
    "Books", "DCIM/100APPLE", "Downloads", "PhotoData", "Photos", "Podcasts", "PublicStaging", "Recordings",
    "Safari", "general_storage", "iTunes_Control/iTunes", "iTunes_Control/Music",
)  # fmt: skip


def media_tree() -> MemoryTree:
    """An empty tree in memory with the directories that hosts expect."""
    return MemoryTree(directories=_MEDIA_DIRECTORIES)


class AfcService:
    """The service for one tree.

    Args:
        tree: The files; None for `media_tree`.
        faults: What to do wrong; may be replaced at any time, for the connections to come.
    """

    def __init__(self, tree: FileTree | None = None, faults: AfcFaults | None = None) -> None:
        self.tree: Final[FileTree] = tree if tree is not None else media_tree()
        self.faults = faults

    async def __call__(self, stream: ByteStream, phone: ServiceContext) -> None:
        """Serve one connection until the host ends it.

        Raises:
            ConnectionResetError: The host ended it while it was sent something.
            RemoteProtocolError: The host sent what is no AFC packet.
        """
        await serve_files(stream, phone, self.tree, faults=self.faults)


async def serve_files(
    stream: ByteStream,
    phone: ServiceContext,
    tree: FileTree,
    *,
    is_visible: Callable[[str], bool] = lambda _name: True,
    faults: AfcFaults | None = None,
) -> None:
    """Serve a connection that has become AFC, as `AfcService` does.

    Args:
        stream: The connection.
        phone: Whose it is.
        tree: The files.
        is_visible: Which names of the tree's root exist for the host.
        faults: What to do wrong.
    """
    session = AfcSession(tree, str(phone.identity.value("ProductType")), is_visible=is_visible, faults=faults)
    try:
        while data := await stream.read(_CHUNK_LENGTH):
            session.receive_data(data)
            while piece := session.data_to_send():
                await stream.write(piece)
    finally:
        session.close()
