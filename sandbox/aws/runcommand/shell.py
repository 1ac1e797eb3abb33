"""A shell of a dozen words, for hosts that have nothing but files."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

Files = dict[str, str]
_NOT_FOUND, _MISUSED = 127, 2
_FILE_AND_VALUE, _COMPARISON = 2, 3


@dataclass(slots=True)
class Result:
    """How a script ended."""

    code: int = 0
    out: str = ""
    err: str = ""


class _ExitedError(Exception):
    """The script said ``exit``."""


def run(script: str, files: Files) -> Result:
    """Run a script: echo, cat, rm, test, true, false, exit, set -e, ``>``, ``>>``, ``&&``, ``||``.

    Whatever else it says is not found, status 127. Lines are not continued.
    """
    result, strict = Result(), False
    for line in script.splitlines():
        words = _words(line)
        if not words:
            continue
        if words[0] == "set":
            strict = strict or any("e" in w for w in words[1:] if w.startswith("-"))
            continue
        try:
            to_the_end = _line(words, files, result)
        except _ExitedError:
            return result
        if strict and result.code and to_the_end:
            return result
    return result


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="<>|&;")
    lexer.whitespace_split = True
    return list(lexer)


def _line(words: list[str], files: Files, result: Result) -> bool:
    """Run the commands of a line as ``&&``, ``||`` and ``;`` say; whether the last one was run.

    A failure before that is none for ``set -e``.
    """
    command: list[str] = []
    wanted = ran = True
    for word in [*words, ";"]:
        if word not in ("&&", "||", ";"):
            command.append(word)
            continue
        ran = wanted and bool(command)
        if ran:
            _command(command, files, result)
        command = []
        wanted = word == ";" or (result.code == 0) == (word == "&&")
    return ran


def _command(words: list[str], files: Files, result: Result) -> None:
    words, into, append = _redirected(words)
    out = _run(words[0], words[1:], files, result)
    if into:
        files[into] = (files.get(into, "") if append else "") + out
    else:
        result.out += out


def _redirected(words: list[str]) -> tuple[list[str], str, bool]:
    for sign in (">", ">>"):
        if sign in words:
            at = words.index(sign)
            return words[:at], words[at + 1], sign == ">>"
    return words, "", False


def _run(name: str, given: list[str], files: Files, result: Result) -> str:
    result.code = 0
    if name == "echo":
        return " ".join(given) + "\n"
    if name == "cat":
        return _cat(given, files, result)
    if name == "rm":
        for path in given:
            files.pop(path, None)
    elif name in ("test", "["):
        result.code = int(not _test([w for w in given if w != "]"], files))
    elif name == "exit":
        result.code = int(given[0]) if given else 0
        raise _ExitedError
    elif name == "false":
        result.code = 1
    elif name != "true":
        result.code = _NOT_FOUND
        result.err += f"{name}: command not found\n"
    return ""


def _cat(paths: list[str], files: Files, result: Result) -> str:
    found = ""
    for path in paths:
        if path in files:
            found += files[path]
        else:
            result.code = 1
            result.err += f"cat: {path}: No such file or directory\n"
    return found


def _test(words: list[str], files: Files) -> bool:
    if len(words) == _FILE_AND_VALUE and words[0] in ("-f", "-e"):
        return words[1] in files
    if words[:1] == ["-n"]:
        return bool("".join(words[1:]))
    if words[:1] == ["-z"]:
        return not "".join(words[1:])
    if len(words) == _COMPARISON:
        return (words[0] == words[2]) == (words[1] == "=")
    return False
