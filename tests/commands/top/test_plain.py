from __future__ import annotations

import json
from dataclasses import replace

from tests.commands.top.made_up import ANNA, CLIENT, CONNECTION, LISTENER, NAMES, OTHER, PHONE, model_of, status
from usbmux.admin.message import PhoneState
from usbmux.commands.top.document import sample_document
from usbmux.commands.top.model import TopModel
from usbmux.commands.top.plain import sample_text
from usbmux.commands.top.sample import Sample

NEVER_OPENED = replace(PHONE, state=PhoneState.QUARANTINED, port_path="1-3", udid=None, connection_speed=None)


def sample() -> Sample:
    model = model_of(status(PHONE, NEVER_OPENED, CLIENT, LISTENER, CONNECTION))
    moved = replace(CONNECTION, bytes_to_phone=1_234_567, client_stalled_s=0.5)
    phone = replace(PHONE, bytes_to_phone=1_234_567, bytes_from_phone=10, reconnects_last_hour=3)
    odd = replace(LISTENER, program="a\x1b", pid=None, uid=None)
    return model.take(status(phone, NEVER_OPENED, CLIENT, odd, moved), NAMES, 1.0)


def test_sample_is_two_tables_without_what_a_terminal_would_obey() -> None:
    assert sample_text(sample()).splitlines() == [
        "PORT  STATE        NAME           TO PHONE   FROM PHONE  CONNS  STALLED  AGAIN/H  SPEED       UDID",
        f"1-2   attached     Anna's iPhone  1.23 MB/s  10 B/s      1      1        3        480 Mbit/s  {ANNA}",
        "1-3   quarantined  -              -          -           0      0        0        -           -",
        "",
        "CLIENT  PROGRAM  PID   UID  STATE        PHONE          PORT  TO PHONE   FROM PHONE  STALLED     AGE",
        "7       ssh      4711  501  established  Anna's iPhone  22    1.23 MB/s  0 B/s       client 50%  1.5 min",
        "8       a?       -     -    listening    -              -     -          -           -           5 s",
    ]


def test_name_is_long_its_beginning_is_shown() -> None:
    text = sample_text(TopModel().take(status(PHONE), {ANNA: "a name so long that nobody reads it"}, 0.0))
    assert " a name so long that…  " in text


def test_there_are_no_clients_their_table_is_left_out() -> None:
    assert sample_text(TopModel().take(status(OTHER), NAMES, 0.0)).count("\n") == 1


def test_sample_as_json_has_the_figures_of_the_daemon_and_the_rates() -> None:
    document = json.loads(json.dumps(sample_document(sample(), 1700000000.12345)))
    assert document.keys() == {"time", "error", "version", "phones", "clients"}
    assert (document["time"], document["error"], document["version"]) == (1700000000.123, None, "9")
    phone, never_opened = document["phones"]
    assert (phone["udid"], phone["state"], phone["name"]) == (ANNA, "attached", "Anna's iPhone")
    assert (phone["to_phone_bytes_per_s"], phone["from_phone_bytes_per_s"]) == (1234567.0, 10.0)
    assert (phone["reconnects_last_hour"], phone["clients"], phone["stalled"]) == (3, [7], 1)
    assert (never_opened["udid"], never_opened["to_phone_bytes_per_s"]) == (None, None)
    stream, listener = document["clients"]
    assert (stream["number"], stream["program"], stream["pid"]) == (7, "ssh", 4711)
    assert (stream["connection"]["port"], stream["connection"]["bytes_to_phone"]) == (22, 1_234_567)
    assert (stream["connection"]["to_phone_bytes_per_s"], stream["connection"]["client_stall"]) == (1234567.0, 0.5)
    assert "client" not in stream["connection"]
    assert listener["connection"] is None


def test_daemon_is_gone_document_says_why() -> None:
    document = sample_document(Sample(error="gone"), 1.0)
    assert document == {"time": 1.0, "error": "gone", "version": None, "phones": [], "clients": []}
