"""What Textual draws, without what a page of ours should not have."""

import re

_FONT_FACE = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
_COMMENT = re.compile(r"\s*<!--.*?-->", re.DOTALL)
_FONT = re.compile(r'(font-family: )[^;}"]+')


def self_contained(drawing: str) -> str:
    """The drawing with the reader's own fixed-width font, so that no other computer is asked for one."""
    return _FONT.sub(r"\1monospace", _COMMENT.sub("", _FONT_FACE.sub("", drawing)))
