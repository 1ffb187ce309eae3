"""What installing and removing a service did, or would do: in lines for people, or as one document."""

import json
from typing import Final, assert_never

from usbmux.commands.service_actions import (
    Action,
    KeepFile,
    MakeDirectory,
    RemoveDirectory,
    RemoveFile,
    RunStep,
    SkipStep,
    WriteFile,
    in_words,
)


class TextReport:
    """A `ServiceReport` that prints a line for each action when it begins."""

    def __init__(self) -> None:
        self._is_empty = True

    def began(self, action: Action) -> None:
        """See `ServiceReport`."""
        self._is_empty = False
        print(in_words(action), flush=True)

    def ended(self, *, is_done: bool) -> None:
        """See `ServiceReport`. Whoever failed has said so on stderr."""

    def close(self, left: str | None) -> None:
        """See `ServiceReport`."""
        if self._is_empty:
            print("not installed: nothing to remove", flush=True)
        elif left is not None:
            print(f"left: {left}", flush=True)


class JsonReport:
    """A `ServiceReport` that prints one document at the end, however that comes."""

    def __init__(self, *, is_dry_run: bool) -> None:
        self._is_dry_run: Final = is_dry_run
        self._actions: Final[list[dict[str, object]]] = []

    def began(self, action: Action) -> None:
        """See `ServiceReport`."""
        self._actions.append({**_action_document(action), "is_done": False})

    def ended(self, *, is_done: bool) -> None:
        """See `ServiceReport`."""
        self._actions[-1]["is_done"] = is_done

    def close(self, left: str | None) -> None:
        """See `ServiceReport`."""
        document = {"is_dry_run": self._is_dry_run, "actions": self._actions, "left": left}
        print(json.dumps(document, indent=4), flush=True)


def _action_document(action: Action) -> dict[str, object]:
    match action:
        case MakeDirectory(path):
            return {"action": "make_directory", "path": str(path)}
        case WriteFile(path):
            return {"action": "write_file", "path": str(path)}
        case RemoveFile(path):
            return {"action": "remove_file", "path": str(path)}
        case RemoveDirectory(path):
            return {"action": "remove_directory_if_empty", "path": str(path)}
        case KeepFile(path, reason):
            return {"action": "keep_file", "path": str(path), "reason": reason}
        case RunStep(step):
            return {"action": "run", "command": list(step.command)}
        case SkipStep(step, reason):
            return {"action": "leave_out", "command": list(step.command), "reason": reason}
        case _:
            assert_never(action)
