"""Hands a target to atheris; `scripts/fuzz` calls this in an environment that has it.

python -m tests.fuzz.run TARGET [options and folders of libFuzzer]
"""

from __future__ import annotations

import importlib
import sys

import atheris  # type: ignore[import-untyped]  # in an environment of its own


def main() -> None:
    target = sys.argv.pop(1)
    with atheris.instrument_imports(include=["usbmux", "plistlib"]):
        module = importlib.import_module(f"tests.fuzz.{target}")
    options = [f"-max_len={module.MAX_LENGTH}"]
    if hasattr(module, "DICTIONARY"):
        options.append(f"-dict=tests/fuzz/{module.DICTIONARY}.dict")
    command = f"{sys.executable} -m tests.fuzz.run {target}"  # how a merge begins anew after a crash, by a shell
    atheris.Setup([command, *options, *sys.argv[1:]], module.fuzz_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
