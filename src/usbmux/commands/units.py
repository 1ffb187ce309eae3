"""Figures for people."""

from typing import Final

_STEP: Final = 1000
_PREFIXES: Final = ("", "k", "M", "G", "T")


def age(age_s: float) -> str:
    """In the longest unit of which it has one."""
    for unit, length_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if age_s >= length_s:
            return f"{age_s / length_s:.1f} {unit}"
    return f"{age_s:.0f} s"


def speed(bits_per_s: int | None) -> str:
    """Of a cable; a dash if it is not known."""
    return f"{bits_per_s / 1e6:g} Mbit/s" if bits_per_s else "-"


def amount(count: float) -> str:
    """Bytes, with three or four digits: 999 B, 1.00 kB, 12.3 MB."""
    for prefix in _PREFIXES:
        decimals = 0 if not prefix or count >= 99.95 else 1 if count >= 9.995 else 2
        text = f"{count:.{decimals}f}"
        if float(text) < _STEP or prefix == _PREFIXES[-1]:
            return f"{text} {prefix}B"
        count /= _STEP
    raise AssertionError("the last prefix takes everything")


def rate(bytes_per_s: float | None) -> str:
    """The same a second; a dash if it is not known."""
    return "-" if bytes_per_s is None else f"{amount(bytes_per_s)}/s"
