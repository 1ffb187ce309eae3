from __future__ import annotations

from usbmux.daemon.log_budget import LINES, PERIOD_S, LogBudget


def test_budget_is_used_up_and_comes_back_with_the_next_period() -> None:
    budget = LogBudget()
    assert all(budget.take(100.0 + line / LINES) for line in range(LINES))
    assert not budget.take(100.0 + PERIOD_S - 0.01)
    assert not budget.take(100.0 + PERIOD_S - 0.01)
    assert budget.take(100.0 + PERIOD_S)
    assert budget.take_withheld() == 2
    assert budget.take_withheld() == 0


def test_few_lines_are_never_withheld() -> None:
    budget = LogBudget()
    assert all(budget.take(now * PERIOD_S) for now in range(1000))
    assert budget.take_withheld() == 0
