"""A table on the screen whose rows change, while the chosen one stays chosen."""

from collections.abc import Mapping, Sequence
from typing import Final, Generic, TypeVar

from rich.text import Text
from textual.coordinate import Coordinate
from textual.widgets import DataTable

from usbmux.commands.top.columns import Column

R = TypeVar("R")
_ALARM: Final = "bold red"


class LiveTable(DataTable[Text], Generic[R]):
    """Shows rows by their keys.

    Args:
        columns: What each row has.
        name: For the screen.
    """

    def __init__(self, columns: Sequence[Column[R]], name: str) -> None:
        super().__init__(id=name, cursor_type="row")
        self._columns: Final = columns
        self._shown: dict[str, list[Text]] = {}

    @property
    def chosen(self) -> str | None:
        """The key of the row that is chosen; None if there is no row."""
        keys = list(self._shown)
        return keys[min(self.cursor_row, len(keys) - 1)] if keys else None

    def show(self, rows: Mapping[str, R]) -> None:
        """Let these be the rows, in this order. What was chosen stays so, else what is at its place now."""
        if not self.columns:  # before the app runs, they cannot be measured
            self.add_columns(*(_text(column.heading, column) for column in self._columns))
        before, self._shown = self._shown, {key: self._cells(row) for key, row in rows.items()}
        if list(before) == list(self._shown):
            for place, key in enumerate(before):
                self._update(place, before[key], self._shown[key])
        else:
            self._rebuild(list(before))

    def _update(self, place: int, before: list[Text], cells: list[Text]) -> None:
        for number, (old, new) in enumerate(zip(before, cells, strict=True)):
            if old != new:
                self.update_cell_at(Coordinate(place, number), new, update_width=len(old) != len(new))

    def _rebuild(self, before: list[str]) -> None:
        place = self.cursor_row
        keys = list(self._shown)
        if place < len(before) and before[place] in self._shown:
            place = keys.index(before[place])
        self.clear()
        for key, cells in self._shown.items():
            self.add_row(*cells, key=key)
        self.move_cursor(row=min(place, max(len(keys) - 1, 0)))

    def _cells(self, row: R) -> list[Text]:
        return [self._cell(column, row) for column in self._columns]

    def _cell(self, column: Column[R], row: R) -> Text:
        is_alarming = column.alarms is not None and column.alarms(row)
        return _text(column.cell(row), column, _ALARM if is_alarming else "")


def _text(text: str, column: Column[R], style: str = "") -> Text:
    return Text(text, style=style, justify="right" if column.is_number else "left")
