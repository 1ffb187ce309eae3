"""A sample as JSON."""

from usbmux.admin.records import record_document
from usbmux.commands.top.sample import ClientRow, PhoneRow, Sample


def sample_document(sample: Sample, time_s: float) -> dict[str, object]:
    """The sample as JSON has it; its parts have the names of docs/admin.md.

    Args:
        sample: What is told.
        time_s: When it was, in seconds since 1970.
    """
    return {
        "time": round(time_s, 3),
        "error": sample.error,
        "version": sample.version or None,
        "phones": list(map(_phone, sample.phones)),
        "clients": list(map(_client, sample.clients)),
    }


def _phone(phone: PhoneRow) -> dict[str, object]:
    return {
        **record_document(phone.status),
        "name": phone.name,
        "to_phone_bytes_per_s": _rounded(phone.to_phone.per_s),
        "from_phone_bytes_per_s": _rounded(phone.from_phone.per_s),
        "clients": [client.number for client in phone.clients],
        "stalled": phone.stalled,
    }


def _client(row: ClientRow) -> dict[str, object]:
    document = record_document(row.client)
    if row.connection is None:
        return {**document, "connection": None}
    connection = record_document(row.connection)
    del connection["client"]  # it stands in it
    connection |= {
        "to_phone_bytes_per_s": _rounded(row.to_phone.per_s),
        "from_phone_bytes_per_s": _rounded(row.from_phone.per_s),
        "phone_stall": round(row.phone_stall, 3),
        "client_stall": round(row.client_stall, 3),
    }
    return {**document, "connection": connection}


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 1)
