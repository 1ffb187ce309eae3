from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from usbmux.daemon.exposition import Metric, MetricKind, Sample, expose

labels = st.dictionaries(st.sampled_from(["udid", "state", "what"]), st.text(st.characters(exclude_categories=["Cs"])))
values = st.integers(0, 2**53) | st.floats(0, allow_infinity=False)


@given(st.lists(st.builds(Sample, value=values, labels=labels), max_size=5))
def test_any_figures_are_read_as_they_were(samples: list[Sample]) -> None:
    document = expose([Metric("some_total", MetricKind.COUNTER, "What it means.", tuple(samples))]).decode()
    (family,) = text_string_to_metric_families(document)
    assert (family.name, family.type, family.documentation) == ("some", "counter", "What it means.")
    assert [(sample.name, sample.labels, sample.value) for sample in family.samples] == [
        ("some_total", dict(sample.labels), sample.value) for sample in samples
    ]


def test_several_metrics_each_has_its_lines() -> None:
    first = Metric("phones", MetricKind.GAUGE, "Phones.", (Sample(1, {"state": 'a"b\\c\nd'}), Sample(0, {})))
    second = Metric("seconds_total", MetricKind.COUNTER, "Seconds.", (Sample(0.5, {}),))
    assert expose([first, second]).decode().splitlines() == [
        "# HELP phones Phones.",
        "# TYPE phones gauge",
        r'phones{state="a\"b\\c\nd"} 1',
        "phones 0",
        "# HELP seconds_total Seconds.",
        "# TYPE seconds_total counter",
        "seconds_total 0.5",
    ]
