"""``usbmux env``: how other programs are told which daemon to ask."""

import json
import os
import shlex

from usbmux.client.programs import FOREIGN_PROGRAMS
from usbmux.commands.exits import ExitCode, complain
from usbmux.control.address import address_from_environment, parse_address
from usbmux.errors import AddressError


def show_environment(address: str | None, keys: tuple[str, ...], *, as_json: bool) -> int:
    """Print the variables, as lines for a shell or as a JSON object.

    Args:
        address: The daemon's, or None for the default.
        keys: Of the programs to be told; empty for all, where those that cannot be told are named on stderr.
        as_json: The object.

    Raises:
        AddressError: It is none, or a program that was asked for cannot be told it.
    """
    where = parse_address(address) if address else address_from_environment(os.environ)
    variables: dict[str, str] = {}
    for program in FOREIGN_PROGRAMS:
        if keys and program.key not in keys:
            continue
        try:
            name, value = program.variable(where)
        except AddressError as error:
            if keys:
                raise
            complain("usbmux", str(error))
        else:
            variables[name] = value
    if as_json:
        print(json.dumps(variables, indent=4), flush=True)
    else:
        print("\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items()), flush=True)
    return ExitCode.OK
