"""What the fuzzers have found stays found: every input of the corpus, without the fuzzer."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

CORPUS = Path(__file__).with_name("corpus")
TARGETS = sorted(path.name for path in CORPUS.iterdir())
INPUTS = sorted(path for target in TARGETS for path in (CORPUS / target).iterdir())


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}-{path.name[:8]}")
def test_target_input_of_the_corpus_breaks_no_rule(path: Path) -> None:
    importlib.import_module(f"tests.fuzz.{path.parent.name}").fuzz_one(path.read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_target_corpus_is_small(target: str) -> None:
    paths = [path for path in INPUTS if path.parent.name == target]
    assert 3 <= len(paths) <= 60
    assert sum(path.stat().st_size for path in paths) <= 65536
