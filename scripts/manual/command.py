"""What a manual page and a shell completion need to know of a command."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Option:
    """An option, or an argument if it has no flags."""

    flags: tuple[str, ...]
    value: str
    """What follows the flags, such as ``FILE`` or ``[N]``; empty: nothing does."""
    text: str
    choices: tuple[str, ...] = ()

    @property
    def is_path(self) -> bool:
        """Whether the value names something in the file system."""
        return any(word in self.value for word in ("FILE", "PATH", "DIR", "SOCKET", "ADDRESS"))


@dataclass(frozen=True, slots=True)
class OptionGroup:
    """Options that belong together."""

    title: str
    """Empty for those of no group."""
    text: str
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Command:
    """A command, as its own help describes it."""

    name: str
    usage: str
    """What follows the name."""
    text: str
    """Paragraphs, separated by empty lines; indented lines stand as they are."""
    groups: tuple[OptionGroup, ...]
    epilog: str = ""
    """As `text`."""
    commands: tuple["Command", ...] = ()

    @property
    def options(self) -> tuple[Option, ...]:
        """Those of all groups that have flags."""
        return tuple(option for group in self.groups for option in group.options if option.flags)
