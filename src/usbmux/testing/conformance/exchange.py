"""The commonest shapes of a case: bytes on a fresh connection, and the first answer to them."""

from collections.abc import Callable, Iterable

from usbmux.client.device import Device
from usbmux.testing.conformance.answer import then
from usbmux.testing.conformance.case import Case
from usbmux.testing.conformance.conversation import Conversation
from usbmux.testing.conformance.request import TAG
from usbmux.testing.conformance.subject import Need, Subject


def exchange(
    name: str, stimulus: str, data: bytes, expected: str | tuple[str, ...], source: str, *, tag: int = TAG
) -> Case:
    """A case that sends bytes and takes the first answer."""
    return converse(name, stimulus, lambda conversation: conversation.ask(data, tag), expected, source)


def sequence(name: str, stimulus: str, requests: Iterable[bytes], expected: str | tuple[str, ...], source: str) -> Case:
    """A case that sends requests on one connection, each when the one before was answered."""
    data = tuple(requests)
    return converse(
        name, stimulus, lambda conversation: then(*(conversation.ask(each) for each in data)), expected, source
    )


def converse(
    name: str,
    stimulus: str,
    talk: Callable[[Conversation], str],
    expected: str | tuple[str, ...],
    source: str,
    needs: Iterable[Need] = (),
) -> Case:
    """A case on one connection."""

    def observe(subject: Subject) -> str:
        with subject.connect() as conversation:
            return talk(conversation)

    return Case(name, stimulus, _several(expected), source, observe, frozenset(needs))


def with_phone(
    name: str,
    stimulus: str,
    talk: Callable[[Conversation, Device], str],
    expected: str | tuple[str, ...],
    source: str,
) -> Case:
    """A case on one connection that is about a phone."""

    def observe(subject: Subject) -> str:
        assert subject.phone is not None
        with subject.connect() as conversation:
            return talk(conversation, subject.phone)

    return Case(name, stimulus, _several(expected), source, observe, frozenset({Need.PHONE}))


def with_echo(
    name: str,
    stimulus: str,
    talk: Callable[[Conversation, int, int], str],
    expected: str | tuple[str, ...],
    source: str,
    need: Need = Need.ECHO,
) -> Case:
    """A case on one connection that is about a phone's port; `talk` gets the device id and the port."""

    def observe(subject: Subject) -> str:
        assert subject.phone is not None
        assert subject.echo_port is not None
        with subject.connect() as conversation:
            return talk(conversation, subject.phone.device_id, subject.echo_port)

    return Case(name, stimulus, _several(expected), source, observe, frozenset({need}))


def _several(expected: str | tuple[str, ...]) -> tuple[str, ...]:
    return (expected,) if isinstance(expected, str) else expected
