"""Values: immutable, and equal when they hold the same.

`frozen` makes of a class what ``dataclass(frozen=True, slots=True)`` makes of it, and the functions of `dataclasses`
accept the outcome. It takes a tenth of the time, of which a program has little before it answers: decision 12.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar, cast, dataclass_transform

if TYPE_CHECKING:
    from dataclasses import Field
    from inspect import Signature

T = TypeVar("T")

_NOT_GIVEN: Final = object()
_OF_EVERY_CLASS: Final = ("__dict__", "__weakref__")


class FieldSettings:
    """What is said of a field."""

    __slots__ = ("compare", "default", "default_factory", "repr")

    def __init__(
        self, default: object, default_factory: Callable[[], object] | None, *, repr: bool, compare: bool
    ) -> None:
        self.default = default
        self.default_factory = default_factory
        self.repr = repr
        self.compare = compare


def field(
    *,
    default: object = _NOT_GIVEN,
    default_factory: Callable[[], object] | None = None,
    repr: bool = True,
    compare: bool = True,
) -> Any:
    """Say more of a field than its default, in the place of the default.

    Args:
        default: what it holds if nothing is given.
        default_factory: makes that, for each value anew.
        repr: whether `repr` shows it; not if it is secret or long.
        compare: whether values that differ in nothing else are different.
    """
    return FieldSettings(default, default_factory, repr=repr, compare=compare)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: type[T]) -> type[T]:
    """Make a class of values of `cls`. Its fields are what it annotates, in that order; it inherits none."""
    annotations = cls.__annotations__
    fields = {name: _settings(cls.__dict__.get(name, _NOT_GIVEN)) for name in annotations}
    written = {name: item for name, item in cls.__dict__.items() if name not in fields and name not in _OF_EVERY_CLASS}

    def complete() -> Callable[..., None]:
        # To mypy no method is ever replaced.
        made.__init__ = _initializer(made, fields, annotations)  # type: ignore[method-assign]
        return made.__init__

    def initialize_first(self: T, *by_place: object, **by_name: object) -> None:
        complete()(self, *by_place, **by_name)

    body = _methods(fields) | {"__init__": initialize_first, "__signature__": _Signature(complete)} | written
    made = cast(type[T], type(cls.__name__, cls.__bases__, body))
    made.__qualname__ = cls.__qualname__
    return made


def _settings(default: object) -> FieldSettings:
    return default if isinstance(default, FieldSettings) else FieldSettings(default, None, repr=True, compare=True)


def _methods(fields: Mapping[str, FieldSettings]) -> dict[str, object]:
    names = tuple(fields)
    shown = [name for name in names if fields[name].repr]
    compared = _reader([name for name in names if fields[name].compare])

    def are_equal(self: object, other: object) -> bool:
        return compared(self) == compared(other) if type(other) is type(self) else NotImplemented

    def hash_of(self: object) -> int:
        return hash(compared(self))

    def text_of(self: object) -> str:
        return f"{type(self).__qualname__}({', '.join([f'{name}={getattr(self, name)!r}' for name in shown])})"

    def parts_of(self: object) -> tuple[type, tuple[object, ...]]:
        return type(self), tuple([getattr(self, name) for name in names])

    return {
        "__slots__": names,
        "__match_args__": names,
        "__eq__": are_equal,
        "__hash__": hash_of,
        "__repr__": text_of,
        "__reduce__": parts_of,
        "__setattr__": _refuse,
        "__delattr__": _refuse,
        "__dataclass_fields__": _DataclassFields(fields),
    }


def _reader(names: list[str]) -> Callable[[object], object]:
    return attrgetter(*names) if names else lambda _: ()


def _refuse(self: object, name: str, _: object = None) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"{type(self).__qualname__}.{name} does not change")


def _initializer(
    made: type, fields: Mapping[str, FieldSettings], annotations: Mapping[str, object]
) -> Callable[..., None]:
    """The function that a person would write: none that takes any arguments is as quick, or as clear about wrong ones.

    It is made when the first value is, because to compile it takes longer than all the rest, and many a class that a
    program knows is never used.
    """
    known: dict[str, Any] = {"__name__": made.__module__, "not_given": _NOT_GIVEN}
    parameters, lines = ["self"], ["pass"]
    for name, settings in fields.items():
        known[f"set_{name}"] = made.__dict__[name].__set__
        given = name
        if settings.default_factory is not None:
            known[f"make_{name}"] = settings.default_factory
            parameters.append(f"{name}=not_given")
            given = f"make_{name}() if {name} is not_given else {name}"
        elif settings.default is not _NOT_GIVEN:
            known[f"default_{name}"] = settings.default
            parameters.append(f"{name}=default_{name}")
        else:
            parameters.append(name)
        lines.append(f"set_{name}(self, {given})")
    if hasattr(made, "__post_init__"):
        lines.append("self.__post_init__()")
    exec(f"def __init__({', '.join(parameters)}):\n " + "\n ".join(lines), known)
    function: Callable[..., None] = known["__init__"]
    function.__qualname__ = f"{made.__qualname__}.__init__"
    function.__annotations__ = {**annotations, "return": None}
    return function


class _Signature:
    """What `inspect.signature` looks for, also before the first value is made."""

    __slots__ = ("_complete",)

    def __init__(self, complete: Callable[[], Callable[..., None]]) -> None:
        self._complete = complete

    def __get__(self, instance: object, owner: type) -> "Signature":
        import inspect

        found = inspect.signature(self._complete())
        return found.replace(parameters=list(found.parameters.values())[1:])


class _DataclassFields:
    """What the functions of `dataclasses` look for; made when they do for the first time."""

    __slots__ = ("_fields", "_made")

    def __init__(self, fields: Mapping[str, FieldSettings]) -> None:
        self._fields = fields
        self._made: dict[str, Field[object]] | None = None

    def __get__(self, instance: object, owner: type) -> "dict[str, Field[object]]":
        if self._made is None:
            self._made = self._make(owner)
        return self._made

    def _make(self, owner: type) -> "dict[str, Field[object]]":
        import dataclasses

        body: dict[str, object] = {"__annotations__": dict(owner.__annotations__)}
        for name, settings in self._fields.items():
            options: dict[str, Any] = {"repr": settings.repr, "compare": settings.compare}
            if settings.default_factory is not None:
                options["default_factory"] = settings.default_factory
            elif settings.default is not _NOT_GIVEN:
                options["default"] = settings.default
            body[name] = dataclasses.field(**options)
        model: type = dataclasses.dataclass(type(owner.__name__, (), body))
        return {each.name: each for each in dataclasses.fields(model)}
