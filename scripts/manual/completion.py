"""Shell completions: for a command without sub-commands, scripts that need nothing but the shell."""

import shlex
from collections.abc import Iterable

from scripts.manual.command import Command, Option


def bash_completion(command: Command) -> str:
    """For bash 4 and later; needs no further functions."""
    function = f"_{command.name}"
    words = " ".join(flag for option in command.options for flag in option.flags)
    return "\n".join(
        [
            f"# bash completion for {command.name}",
            f"{function}() {{",
            "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}",
            "    case $before in",
            *_bash_cases(command.options),
            "    esac",
            "    if [[ $word == -* ]]; then",
            f'        mapfile -t COMPREPLY < <(compgen -W "{words}" -- "$word")',
            "    fi",
            "}",
            f"complete -o filenames -F {function} {command.name}",
            "",
        ]
    )


def zsh_completion(command: Command) -> str:
    """For a directory of zsh's fpath."""
    specifications = [_zsh_specification(option) for option in command.options]
    return "\n".join(
        [
            f"#compdef {command.name}",
            "_arguments -s \\",
            *(f"    {line} \\" for line in specifications),
            "    '*: :'",
            "",
        ]
    )


def fish_completion(command: Command) -> str:
    """For fish."""
    lines = [f"complete -c {command.name} -f"]
    for option in command.options:
        parts = [f"complete -c {command.name}"]
        parts += [f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags]
        if _takes_value(option):
            parts.append("-r")
        if option.is_path:
            parts.append("-F")
        elif option.choices:
            parts.append(f"-a {_fish_quoted(' '.join(option.choices))}")
        parts.append(f"-d {_fish_quoted(option.text)}")
        lines.append(" ".join(parts))
    return "\n".join([*lines, ""])


def _takes_value(option: Option) -> bool:
    return bool(option.value) and not option.value.startswith("[")


def _bash_cases(options: Iterable[Option]) -> list[str]:
    lines = []
    for option in options:
        if not option.value:
            continue
        if option.is_path:
            action = 'mapfile -t COMPREPLY < <(compgen -f -- "$word")'
        elif option.choices:
            action = f'mapfile -t COMPREPLY < <(compgen -W "{" ".join(option.choices)}" -- "$word")'
        else:
            action = "COMPREPLY=()"
        end = "return" if _takes_value(option) else "[[ $word == -* ]] || return"
        lines.append(f"        {' | '.join(option.flags)}) {action}; {end} ;;")
    return lines


def _zsh_specification(option: Option) -> str:
    text = "".join(f"\\{character}" if character in "[]:\\" else character for character in option.text)
    value = ""
    if option.value:
        action = "_files" if option.is_path else f"({' '.join(option.choices)})" if option.choices else " "
        separator = ":" if _takes_value(option) else "::"
        value = f"{separator}{option.value.strip('[]').replace(':', ' ')}:{action}"
    flags = "{" + ",".join(option.flags) + "}" if len(option.flags) > 1 else option.flags[0]
    return f"'*'{flags}{shlex.quote(f'[{text}]{value}')}"


def _fish_quoted(text: str) -> str:
    # Between single quotes, fish knows these two escapes and no others.
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
