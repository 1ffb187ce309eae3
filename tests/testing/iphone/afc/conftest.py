from pathlib import Path

import pytest

from usbmux.testing.iphone.afc.directory_tree import DirectoryTree
from usbmux.testing.iphone.afc.file_tree import FileTree
from usbmux.testing.iphone.afc.memory_tree import MemoryTree


@pytest.fixture(params=["memory", "directory"])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> FileTree:
    """An empty tree of either kind; what is asked of one is asked of the other."""
    if request.param == "memory":
        return MemoryTree()
    root = tmp_path / "root"
    root.mkdir()
    return DirectoryTree(root)
