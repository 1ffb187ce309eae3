"""What is asked before something is done."""

from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

_STYLE: Final = """
{name} {{ align: center middle; }}
{name} > Vertical {{ width: 64; max-width: 100%; height: auto; border: round $primary; padding: 0 1; }}
"""


class YesNoDialog(ModalScreen[bool]):
    """A question; only y means yes.

    Args:
        question: What is asked.
    """

    CSS = _STYLE.format(name="YesNoDialog")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape,enter,q", "answer(False)", "No"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question: Final = question

    def compose(self) -> ComposeResult:
        """See `Screen`."""
        with Vertical():
            yield Static(self._question, markup=False)
            yield Static("y: yes   n: no")

    def action_answer(self, is_yes: bool) -> None:
        """End with that answer."""
        self.dismiss(is_yes)


class TextDialog(ModalScreen[str | None]):
    """A line of text, with something to begin with; None if there is none after all.

    Args:
        question: What is asked.
        proposal: The line at first.
    """

    CSS = _STYLE.format(name="TextDialog")
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "give_up", "Cancel")]

    def __init__(self, question: str, proposal: str) -> None:
        super().__init__()
        self._question: Final = question
        self._proposal: Final = proposal

    def compose(self) -> ComposeResult:
        """See `Screen`."""
        with Vertical():
            yield Static(self._question, markup=False)
            yield Input(self._proposal)
            yield Static("Enter: go   Escape: cancel")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """End with the line."""
        self.dismiss(event.value or None)

    def action_give_up(self) -> None:
        """End without one."""
        self.dismiss(None)
