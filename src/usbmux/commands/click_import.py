"""The import of click, without what click imports for questions that our programs do not put to it."""

import sys
from importlib import import_module
from types import ModuleType


class _InspectLater(ModuleType):
    """Stands for `inspect` in click's modules until one of them needs more of it than to clean a line of help."""

    @staticmethod
    def cleandoc(doc: str) -> str:
        """As `inspect.cleandoc`."""
        if "\n" in doc:
            from inspect import cleandoc

            return cleandoc(doc)
        return doc.expandtabs().lstrip()

    def __getattr__(self, name: str) -> object:
        return getattr(import_module("inspect"), name)


def import_click() -> None:
    """Import click; whoever imports `inspect` afterwards gets the real one.

    That one brings the parsers of Python's own language with it, which take more than a tenth of the processor time of
    `usbmux list`.

    Raises:
        ModuleNotFoundError: It is not installed.
    """
    if "inspect" in sys.modules:
        import click
    else:
        sys.modules["inspect"] = _InspectLater("inspect")
        try:
            import click  # noqa: F401 - for its modules, whose names are bound now
        finally:
            del sys.modules["inspect"]
