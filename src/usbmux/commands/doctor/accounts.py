"""Names of users and groups, as the files of the system have them."""

from collections.abc import Iterator

from usbmux.commands.doctor.system_view import SystemView


def user_name(view: SystemView, uid: int) -> str:
    """The user's name, or the number."""
    return next((name for name, number, _ in _entries(view, "/etc/passwd") if number == uid), str(uid))


def group_name(view: SystemView, gid: int) -> str:
    """The group's name, or the number."""
    return next((name for name, number, _ in _entries(view, "/etc/group") if number == gid), str(gid))


def has_user(view: SystemView, name: str) -> bool:
    """Whether there is a user of that name."""
    return any(name == known for known, _, _ in _entries(view, "/etc/passwd"))


def is_member(view: SystemView, user: str, gid: int) -> bool:
    """Whether the group lists the user; his session need not know of it yet."""
    return any(number == gid and user in rest.split(",") for _, number, rest in _entries(view, "/etc/group"))


def _entries(view: SystemView, path: str) -> Iterator[tuple[str, int, str]]:
    """Name, number and the field behind it."""
    for line in (view.text(path) or "").splitlines():
        name, _, number, rest, *_ = (*line.split(":"), "", "", "")
        if number.isdecimal():
            yield name, int(number), rest
