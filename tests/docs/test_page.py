from __future__ import annotations

import pytest

from tests.docs.page import Command, End, blocks, ports, shown_as

PAGE = """\
# A page

<!-- ports: 2222 80 -->

```console
$ first | cut -c 2-
one
...
$ second \\
  --long
```

<!-- not run (screen): top -->
<!-- until Ctrl-C: watch -->
<!-- left running: forward 1 -->
```shell
# a remark
top
watch   # for ever

forward 1:2
forward 3:4
```

<!-- not run (installs) -->
```console
$ install
```

```text
$ no command
```
"""


def test_page_blocks_are_found_with_their_commands() -> None:
    found = blocks(PAGE)
    assert [block.language for block in found] == ["console", "shell", "console", "text"]
    assert found[0].commands == [Command("first | cut -c 2-", "one\n...\n"), Command("second   --long", "")]
    assert found[1].commands == [
        Command("top", None, reason_not_run="screen"),
        Command("watch   # for ever", None, end=End.INTERRUPTED),
        Command("forward 1:2", None, end=End.PAGE),
        Command("forward 3:4", None),
    ]
    assert found[2].commands == [Command("install", "", reason_not_run="installs")]
    assert found[3].commands == []


def test_page_ports_are_found() -> None:
    assert ports(PAGE) == [2222, 80]


@pytest.mark.parametrize(
    ("shown", "came", "fits"),
    [
        ("one\n", "one\n", True),
        ("one\n", "one\ntwo\n", False),
        ("one\n", "oneself\n", False),
        ("on...lf\n", "oneself\n", True),
        ("a... c\n", "a\nb c\n", False),
        ("...\nend\n", "end\n", True),
        ("...\nend\n", "one\ntwo\nend\n", True),
        ("one\n...\n", "one\ntwo\nthree\n", True),
        ("a.b\n", "axb\n", False),
    ],
)
def test_output_fits_what_is_shown_but_for_the_ellipses(shown: str, came: str, fits: bool) -> None:
    assert bool(shown_as(shown).fullmatch(came)) == fits
