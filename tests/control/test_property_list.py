"""Rules C14 to C16."""

import plistlib
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from usbmux.control import property_list
from usbmux.errors import LocalProtocolError, RemoteProtocolError

XML = b'<?xml version="1.0" encoding="UTF-8"?>'
LISTEN_BINARY = (
    b"bplist00"
    + b"\xd1\x01\x02"  # at 8: a dictionary of one pair, key 1 and value 2
    + b"\x5bMessageType"  # at 11
    + b"\x56Listen"  # at 23
    + bytes([8, 11, 23])  # at 30: where the objects are
    + bytes(6)
    + bytes([1, 1])
    + (3).to_bytes(8, "big")
    + (0).to_bytes(8, "big")
    + (30).to_bytes(8, "big")
)


def binary_list(objects: list[bytes], offsets: list[int] | None = None, reference_size: int = 1) -> bytes:
    """A binary property list of these objects; `offsets` are indices of objects, repetitions allowed."""
    starts, body = [], b"bplist00"
    for data in objects:
        starts.append(len(body))
        body += data
    table = b"".join(starts[index].to_bytes(4, "big") for index in (offsets or range(len(objects))))
    count = len(table) // 4
    trailer = bytes(6) + bytes([4, reference_size]) + b"".join(n.to_bytes(8, "big") for n in (count, 0, len(body)))
    return body + table + trailer


def refused(payload: bytes) -> RemoteProtocolError:
    with pytest.raises(RemoteProtocolError) as caught:
        property_list.load(payload)
    return caught.value


def test_xml_written_golden_bytes() -> None:
    assert property_list.dump({"b": 1, "a": "x<y", "c": b"\x00\xff", "d": [True]}) == (
        b'<?xml version="1.0" encoding="UTF-8"?>\n'
        b'<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n'
        b'<plist version="1.0">\n<dict>\n'
        b"\t<key>b</key>\n\t<integer>1</integer>\n"
        b"\t<key>a</key>\n\t<string>x&lt;y</string>\n"
        b"\t<key>c</key>\n\t<data>\n\tAP8=\n\t</data>\n"
        b"\t<key>d</key>\n\t<array>\n\t\t<true/>\n\t</array>\n"
        b"</dict>\n</plist>\n"
    )


@pytest.mark.parametrize(
    "payload",
    [
        LISTEN_BINARY,
        b"<plist><dict><key>MessageType</key><string>Listen</string></dict></plist>",
        b"\xef\xbb\xbf<?xml version='1.0'?><plist><dict><key>MessageType</key><string>Listen</string></dict></plist>",
        XML + b"<!-- c --><plist><dict><key>MessageType</key>\r\n<string><![CDATA[Listen]]></string></dict></plist>",
    ],
)
def test_dictionary_in_any_form_read(payload: bytes) -> None:
    assert property_list.load(payload) == {"MessageType": "Listen"}


@pytest.mark.parametrize(("before", "behind"), [(b"\n", b""), (b" \t\r\n", b"\n"), (b"", b"\0"), (b"\n", b"\n\0\0\0")])
def test_xml_with_space_before_or_nul_behind_read(before: bytes, behind: bytes) -> None:
    assert property_list.load(before + property_list.dump({"a": [1]}) + behind) == {"a": [1]}


@pytest.mark.parametrize(
    ("written", "read"),
    [(b"M\xfcller", "M\ufffdller"), (b"\xb0\xae", "\ufffd\ufffd"), (b"a\x01b&amp;\x1f", "a\ufffdb&\ufffd")],
    ids=["Latin-1", "GBK", "controls"],
)
def test_xml_with_text_that_xml_forbids_read(written: bytes, read: str) -> None:
    payload = property_list.dump({"ProgName": "x", "n": 1}).replace(b"<string>x", b"<string>" + written)

    assert property_list.load(payload) == {"ProgName": read, "n": 1}


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"<!-- c -->",
        b'<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
        b'<?xml version="1.0" encoding="utf-16"?>\r\n',
        b'\xef\xbb\xbf<?xml version="1.0" encoding="utf-16"?>',
        b'<?xml version="1.0" encoding="GBK"?>',
        b'<?xml version="1.0" encoding="no-such"?>',
    ],
)
@pytest.mark.parametrize(("start", "end"), [(b"<plist version='1.0'>", b"</plist>"), (b"", b"")])
def test_xml_in_utf_8_whatever_it_declares_read(head: bytes, start: bytes, end: bytes) -> None:
    payload = head + start + "<dict><key>a</key><string>ü</string></dict>".encode() + end

    assert property_list.load(payload) == {"a": "ü"}


def test_xml_in_declared_latin_1_read_as_such() -> None:
    payload = (
        b'<?xml version="1.0" encoding="ISO-8859-1"?><plist><dict><key>a</key><string>\xfc</string></dict></plist>'
    )

    assert property_list.load(payload) == {"a": "ü"}


def test_binary_plist_that_ends_with_nul_read() -> None:
    payload = property_list.dump({"a": bytes(240)}, binary=True)
    assert payload.endswith(b"\0")  # where the table of offsets is

    assert property_list.load(payload) == {"a": bytes(240)}


def test_overlapping_binary_plist_behind_space_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="not a property list"):
        property_list.load(b"\n" + same_array_many_times())


@pytest.mark.parametrize("value", [1 << 64, -(1 << 64), "\x00", "\ud800", None, object()])
def test_value_that_no_plist_holds_local_error(value: object) -> None:
    with pytest.raises(LocalProtocolError, match="property list") as caught:
        property_list.dump({"a": value})
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\0" * 40,
        b"MessageType=Listen",
        b"<?xml",
        XML,
        XML + b"<plist><dict>",
        XML + b"<plist><dict></array></plist>",
        XML + b"<plist><dict><string>no key</string></dict></plist>",
        XML + b"<plist><dict><key>a</key></dict></plist>",
        XML + b"<plist><key>a</key></plist>",
        XML + b"<plist></dict></plist>",
        XML + b"<plist><dict><key>a</key><integer></integer></dict></plist>",
        XML + b"<plist><dict><key>a</key><integer>" + b"9" * 10_000 + b"</integer></dict></plist>",
        XML + b"<plist><dict><key>a</key><real>x</real></dict></plist>",
        XML + b"<plist><dict><key>a</key><date>yesterday</date></dict></plist>",
        XML + b"<plist><dict><key>a</key><date>9999-99-99T99:99:99Z</date></dict></plist>",
        XML + b"<plist><dict><key>a</key><data>=A</data></dict></plist>",
        b"bplist15" + LISTEN_BINARY[8:],
        XML + b'<!DOCTYPE plist [<!ENTITY a "b">]><plist><dict/></plist>',
        XML + b'<!DOCTYPE plist [<!ATTLIST dict a CDATA "b">]><plist><dict/></plist>',
        "\ufeff<?xml version='1.0' encoding='UTF-16'?><plist><dict/></plist>".encode("utf-16-le"),
        b"bplist00",
        b"bplist00" + bytes(32),
        b"bplist00" + b"\xff" * 32,
        LISTEN_BINARY[:-1],
        LISTEN_BINARY.replace(bytes([8, 11, 23]), bytes([8, 11, 250])),
        LISTEN_BINARY.replace(b"\xd1\x01\x02", b"\xd1\x01\x03"),
        LISTEN_BINARY.replace(b"\xd1\x01\x02", b"\xd1\x00\x02"),
        LISTEN_BINARY.replace(b"\x56Listen", b"\x5fListen"),
        LISTEN_BINARY.replace(b"\x56Listen", b"\x63" + b"\xd8\0" * 3),
        LISTEN_BINARY.replace(b"\x56Listen", b"\x33\x7f\xf0\0\0\0\0"),
        LISTEN_BINARY.replace(b"\x56Listen", b"\x56List\xffn"),
        binary_list([b"\xd1\x01\x02", b"\x51a", b"\x5f\x13" + b"\xff" * 8]),
        binary_list([b"\xc1\x00"]),
    ],
)
def test_malformed_plist_remote_error(payload: bytes) -> None:
    error = refused(payload)
    assert str(error) == "not a property list"
    assert error.data == payload[:32]
    assert error.__cause__ is not None


@pytest.mark.parametrize(
    "payload",
    [
        XML + b"<plist><array/></plist>",
        XML + b"<plist><string>Listen</string></plist>",
        XML + b"<plist/>",
        XML + b"<html/>",
        binary_list([b"\xa0"]),
        binary_list([b"\x00"]),
    ],
)
def test_plist_of_something_else_not_a_dictionary(payload: bytes) -> None:
    assert str(refused(payload)) == "not a dictionary"


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("elements", [[], ["DLMessagePing", {"a": [1]}]])
def test_array_in_both_forms_read(elements: list[object], binary: bool) -> None:
    assert property_list.load_array(property_list.dump(elements, binary=binary)) == elements


@pytest.mark.parametrize("payload", [property_list.dump({}), property_list.dump({}, binary=True)])
def test_dictionary_read_as_array_not_an_array(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="not an array") as caught:
        property_list.load_array(payload)
    assert caught.value.data == payload[:32]


def test_array_that_is_malformed_remote_error() -> None:
    with pytest.raises(RemoteProtocolError, match="not a property list"):
        property_list.load_array(b"<array>")


@pytest.mark.parametrize(
    "objects",
    [
        [b"\xd1\x01\x00", b"\x51a"],  # holds itself as value
        [b"\xd1\x01\x02", b"\x51a", b"\xa2\x02\x00"],  # holds an array that holds itself and its holder
    ],
)
def test_binary_plist_that_holds_itself_read(objects: list[bytes]) -> None:
    value = property_list.load(binary_list(objects))["a"]
    assert isinstance(value, dict | list)


def test_binary_plist_nested_beyond_recursion_remote_error() -> None:
    depth = sys.getrecursionlimit() + 10
    arrays = [b"\xa1" + (index + 3).to_bytes(2, "big") for index in range(depth)]
    nested = binary_list([b"\xd1\x00\x01\x00\x02", b"\x51a", *arrays, b"\x09"], reference_size=2)
    assert isinstance(refused(nested).__cause__, RecursionError)


def test_xml_plist_nested_deeply_read() -> None:
    payload = XML + b"<plist><dict><key>a</key>" + b"<array>" * 4000 + b"</array>" * 4000 + b"</dict></plist>"
    assert isinstance(property_list.load(payload)["a"], list)


ALL_KINDS = {
    "data": bytes(300),
    "text": "x" * 20,
    "wide": "é电" * 10,
    "numbers": [0, 1, -1, 255, 65536, 1 << 40, 0.5],
    "array": ["item"] * 20,
    "dictionary": {f"key {number}": number for number in range(40)},
    "constants": [True, False],
    "identifier": plistlib.UID(5),
}


def test_binary_plist_of_every_kind_read() -> None:
    assert property_list.load(plistlib.dumps(ALL_KINDS, fmt=plistlib.FMT_BINARY)) == ALL_KINDS


def same_array_many_times() -> bytes:
    array = b"\xaf\x11" + (8000).to_bytes(2, "big") + (1).to_bytes(2, "big") * 8000
    return binary_list([b"\xd1\x00\x01\x00\x02", b"\x51a", array], [0, 1, *[2] * 8000], reference_size=2)


def same_data_many_times() -> bytes:
    data = b"\x4f\x11" + (20000).to_bytes(2, "big") + bytes(20000)
    references = b"".join(index.to_bytes(2, "big") for index in range(2, 6002))
    array = b"\xaf\x11" + (6000).to_bytes(2, "big") + references
    objects = [b"\xd1\x00\x01\x00\x02", b"\x51a", array, data]
    return binary_list(objects, [0, 1, 2, *[3] * 6000], reference_size=2)


def same_wide_integer_many_times() -> bytes:
    return binary_list([b"\xa0", b"\x1f" + b"\x11" * 32768], [0, *[1] * 6000])


@pytest.mark.parametrize("build", [same_array_many_times, same_data_many_times, same_wide_integer_many_times])
def test_binary_plist_of_overlapping_objects_refused_cheaply(build: Callable[[], bytes]) -> None:
    payload = build()
    assert len(payload) < 65536
    tracemalloc.start()
    error = refused(payload)
    _current, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert str(error.__cause__) == "overlapping objects"
    assert peak < 10 * len(payload)


@pytest.mark.parametrize(
    "repeated",
    [
        b"\x4f\x10\x60" + bytes(96),
        b"\x5f\x11\x00\x60" + bytes(96),
        b"\x6f\x12\x00\x00\x00\x30" + bytes(96),
        b"\xaf\x13\x00\x00\x00\x00\x00\x00\x00\x30" + b"\x00\x01" * 48,
        b"\xdf\x10\x18" + b"\x00\x01" * 48,
        b"\x17" + bytes(128),
    ],
)
def test_binary_plist_of_one_object_named_twice_refused(repeated: bytes) -> None:
    objects = [b"\xd1\x00\x01\x00\x02", b"\x51a", repeated]
    property_list.load(binary_list(objects, reference_size=2))
    twice = binary_list(objects, [0, 1, 2, 2], reference_size=2)
    assert str(refused(twice).__cause__) == "overlapping objects"


keys = st.sampled_from(["MessageType", "DeviceID", "a"])
values = st.recursive(
    st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.text("aé電 ", max_size=20) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=10,
)


@given(value=st.dictionaries(keys, values, max_size=3), form=st.sampled_from(plistlib.PlistFormat))
def test_any_dictionary_in_both_forms_read(value: dict[str, object], form: plistlib.PlistFormat) -> None:
    assert property_list.load(plistlib.dumps(value, fmt=form)) == value


@given(st.binary(max_size=100))
@example(b"<plist")
def test_random_bytes_only_remote_errors(data: bytes) -> None:
    for payload in (data, XML + data, b"bplist00" + data):
        with suppress(RemoteProtocolError):
            assert isinstance(property_list.load(payload), dict)


@given(
    value=st.dictionaries(keys, values, max_size=3),
    form=st.sampled_from(plistlib.PlistFormat),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=3)), min_size=1, max_size=6),
)
def test_plist_with_bytes_changed_only_remote_errors(
    value: dict[str, object], form: plistlib.PlistFormat, changes: list[tuple[int, bytes]]
) -> None:
    payload = plistlib.dumps(value, fmt=form)
    for where, what in changes:
        position = where % len(payload)
        payload = payload[:position] + what + payload[position + 1 :]
        if not payload:
            break
    with suppress(RemoteProtocolError):
        assert isinstance(property_list.load(payload), dict)
