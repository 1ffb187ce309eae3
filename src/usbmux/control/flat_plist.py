"""Flat property lists in XML, recognised by their shape: nearly all requests, and the results of them.

What is not plain in every respect is left to the parser, which stays the authority: tests/control/test_flat_plist.py
shows that both agree on all that is taken here.
"""

import re
from typing import Final

MAX_LENGTH: Final = 2048
"""Longest one that is looked at, in bytes."""

# Quantifiers are possessive, so that looking costs time linear in the length. Characters that XML or its line ends
# could give another meaning are not in the text; numbers have no sign and no more digits than any field takes.
_SPACE: Final = rb"[ \t\r\n]*+"
_KEY: Final = rb"[A-Za-z ]++"
_TEXT: Final = rb"[ !-%'-;=?-~]*+"
_NUMBER: Final = rb"[0-9]{1,18}+"
_HEAD: Final = (
    rb'(?:<\?xml version="1\.0" encoding="(?:UTF|utf)-8"\?>' + _SPACE + rb'(?:<!DOCTYPE plist PUBLIC "-//Apple'
    rb'(?: Computer)?//DTD PLIST 1\.0//EN" "https?://www\.apple\.com/DTDs/PropertyList-1\.0\.dtd">' + _SPACE + rb")?)?"
)
_VALUE: Final = rb"<(?:integer>%b</integer|string>%b</string)>" % (_NUMBER, _TEXT)
_DOCUMENT: Final = re.compile(
    _HEAD
    + rb'<plist(?: version="1\.0")?>%b<dict>' % _SPACE
    + rb"((?:%b<key>%b</key>%b%b)*+)" % (_SPACE, _KEY, _SPACE, _VALUE)
    + rb"%b</dict>%b</plist>%b" % (_SPACE, _SPACE, _SPACE)
)
_ENTRY: Final = re.compile(r"<key>([^<]+)</key>\s*<(?:integer>([^<]+)|string>([^<]*))")


def load(payload: bytes) -> dict[object, object] | None:
    """Read a dictionary whose values are texts in ASCII and natural numbers; None for everything else."""
    if len(payload) > MAX_LENGTH or (found := _DOCUMENT.fullmatch(payload)) is None:
        return None
    return {key: int(number) if number else text for key, number, text in _ENTRY.findall(found[1].decode("ascii"))}
