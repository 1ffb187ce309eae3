"""Values are what frozen slotted dataclasses are."""

import copy
import dataclasses
import inspect
import pickle
import pydoc
from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, is_dataclass, replace
from typing import Generic, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbmux.values import field, frozen

T = TypeVar("T")


@frozen
class Point:
    """A place."""

    x: int
    y: int = 0

    @property
    def distance(self) -> int:
        return abs(self.x) + abs(self.y)


@dataclasses.dataclass(frozen=True, slots=True)
class Model:
    """The same, by the standard library."""

    x: int
    y: int = 0


@frozen
class Nothing:
    """A value that holds nothing."""


@frozen
class AlsoNothing:
    """Another one."""


@frozen
class Secret:
    name: str
    key: bytes = field(repr=False)
    parts: list[int] = field(default_factory=list)
    seen: int = field(default=0, compare=False)


@frozen
class Told:
    x: int

    def __repr__(self) -> str:
        return "told"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Told)

    def __hash__(self) -> int:
        return 7


@frozen
class Even:
    number: int

    def __post_init__(self) -> None:
        if self.number % 2:
            raise ValueError(self.number)


@frozen
class Box(Generic[T]):
    content: T


numbers = st.integers(-3, 3)


@given(numbers, numbers, numbers, numbers)
def test_two_values_are_as_equal_as_dataclasses(a: int, b: int, c: int, d: int) -> None:
    assert (Point(a, b) == Point(c, d)) is (Model(a, b) == Model(c, d))
    assert (hash(Point(a, b)) == hash(Point(c, d))) is (hash(Model(a, b)) == hash(Model(c, d)))
    assert repr(Point(a, b)) == repr(Model(a, b)).replace("Model", "Point")


def test_value_of_another_class_is_not_equal() -> None:
    model: object = Model(1, 2)
    another: object = AlsoNothing()
    assert Point(1, 2) != model
    assert Nothing() == Nothing()
    assert Nothing() != another
    assert bool(Nothing())  # unlike an empty tuple


def test_value_that_is_changed_refuses() -> None:
    point = Point(1, 2)
    with pytest.raises(FrozenInstanceError, match=r"Point\.x"):
        point.x = 3  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del point.x
    with pytest.raises(FrozenInstanceError):
        point.z = 3  # type: ignore[attr-defined]
    assert point == Point(1, 2)


def test_value_has_slots_only() -> None:
    assert not hasattr(Point(1), "__dict__")
    assert Point.__slots__ == ("x", "y")  # type: ignore[attr-defined]


@pytest.mark.parametrize(("given_by_place", "given_by_name"), [((), {}), ((1, 2, 3), {}), ((1,), {"z": 2})])
def test_wrong_arguments_are_refused_as_for_a_function(
    given_by_place: tuple[int, ...], given_by_name: dict[str, int]
) -> None:
    with pytest.raises(TypeError, match=r"Point\.__init__\(\)"):
        Point(*given_by_place, **given_by_name)


def test_signature_is_that_of_the_dataclass() -> None:
    @frozen
    class Fresh:
        x: int
        y: int = 0

    assert str(inspect.signature(Fresh)) == str(inspect.signature(Model))
    assert Fresh.__init__.__annotations__ == {"x": int, "y": int, "return": None}
    assert str(inspect.signature(Fresh)) == str(inspect.signature(Model))


def test_class_of_which_there_is_a_value_can_be_asked_for_help() -> None:
    assert Point(1).y == 0
    assert "__init__(self, x: int, y: int = 0) -> None" in pydoc.plain(pydoc.render_doc(Point))
    assert inspect.getmodule(Point.__init__) is inspect.getmodule(Point)


def test_factory_makes_a_default_for_each_value() -> None:
    one, two = Secret("a", b""), Secret("a", b"")
    one.parts.append(1)
    assert two.parts == []
    assert Secret("a", b"", one.parts).parts is one.parts


def test_field_that_is_not_compared_or_shown_is_neither() -> None:
    assert Secret("a", b"k", seen=1) == Secret("a", b"k", seen=2)
    assert Secret("a", b"k") != Secret("a", b"l")
    assert repr(Secret("a", b"k")) == "Secret(name='a', parts=[], seen=0)"


def test_what_the_class_says_itself_stays() -> None:
    assert (repr(Told(1)), Told(1) == Told(2), hash(Told(1))) == ("told", True, 7)
    assert (Point.__doc__, Point.__module__, Point.__qualname__) == ("A place.", __name__, "Point")
    assert Point(-1, 2).distance == 3


def test_match_by_place_takes_the_fields_in_order() -> None:
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)


def test_value_that_looks_at_itself_refuses_what_it_cannot_hold() -> None:
    assert Even(2).number == 2
    with pytest.raises(ValueError, match="3"):
        Even(3)


def test_generic_value_is_one() -> None:
    assert Box[int](1) == Box(1)


def test_functions_of_dataclasses_take_values() -> None:
    assert is_dataclass(Nothing)
    assert replace(Point(1, 2), y=5) == Point(1, 5)
    assert asdict(Secret("a", b"k", [1])) == {"name": "a", "key": b"k", "parts": [1], "seen": 0}
    described = {each.name: (each.type, each.default, each.repr, each.compare) for each in dataclasses.fields(Secret)}
    assert described["key"] == (bytes, dataclasses.MISSING, False, True)
    assert described["seen"] == (int, 0, True, False)
    assert dataclasses.fields(Secret)[2].default_factory is list


def test_what_dataclasses_look_for_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    replace(Point(1, 2), y=5)
    monkeypatch.delattr(dataclasses, "field")

    assert replace(Point(1, 2), y=5) == Point(1, 5)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda point: pickle.loads(pickle.dumps(point))])
def test_copies_are_equal(again: Callable[[Point], Point]) -> None:
    assert again(Point(1, 2)) == Point(1, 2)
