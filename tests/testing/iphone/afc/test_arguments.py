import errno

import pytest

from tests.testing.iphone.afc.afc_host import numbers
from usbmux.testing.iphone.afc.arguments import Arguments


def test_numbers_and_paths_are_read_in_order() -> None:
    arguments = Arguments(numbers(3, -4) + b"/a\0b/c\0")
    assert (arguments.number(), arguments.signed_number()) == (3, -4)
    assert (arguments.path(), arguments.path()) == ("/a", "b/c")


def test_path_without_nul_ends_with_the_arguments() -> None:
    assert Arguments(b"/DCIM").path() == "/DCIM"


def test_empty_arguments_are_an_empty_path() -> None:
    assert Arguments(b"").path() == ""


def test_path_that_is_not_utf_8_keeps_its_bytes() -> None:
    assert Arguments(b"\xff\0").path().encode("utf-8", "surrogateescape") == b"\xff"


def test_second_path_missing_makes_no_sense() -> None:
    arguments = Arguments(b"/a")
    arguments.path()
    with pytest.raises(OSError, match="a path is missing") as caught:
        arguments.path()
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("length", [0, 7])
def test_number_missing_makes_no_sense(length: int) -> None:
    with pytest.raises(OSError, match="a number is missing") as caught:
        Arguments(bytes(length)).number()
    assert caught.value.errno == errno.EINVAL
