"""What is said of a file that cannot be read, or is no YAML that we take."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from phased_rollout import config
from phased_rollout.errors import ConfigError


def problems_of(file: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        config.load(file)
    return [problem.removeprefix(f"{file}:") for problem in caught.value.problems]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "channels.yaml"


def test_a_missing_file(file: Path) -> None:
    assert problems_of(file) == ["1: no such file: create it, or correct its name"]


def test_a_folder(tmp_path: Path) -> None:
    assert problems_of(tmp_path) == ["1: is a folder: name a file in it"]


def test_a_pipe_is_refused_without_waiting_for_its_writer(file: Path) -> None:
    os.mkfifo(file)
    assert problems_of(file) == ["1: is not a regular file: name one"]


def test_ten_megabytes_are_refused_before_they_are_read(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.touch()
    os.truncate(file, 10_000_000)
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("it was read"))
    assert problems_of(file) == ["1: is larger than 4,000,000 bytes: split it"]


def test_a_name_that_no_file_can_have() -> None:
    with pytest.raises(ConfigError, match="1: cannot be read: "):
        config.load(Path("a\0b"))


def test_text_that_is_not_utf8_names_its_line(file: Path) -> None:
    file.write_bytes("version: 1\n# für\n".encode("latin-1"))
    assert problems_of(file) == ["2: byte 0xfc is not UTF-8: save the file as UTF-8"]


def test_a_byte_order_mark_does_no_harm(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbfversion: 1\n")
    assert problems_of(file) == ["1: rollouts: missing: set it"]


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "---\n", "--- ~\n"])
def test_an_empty_file(file: Path, text: str) -> None:
    file.write_text(text)
    assert problems_of(file) == ["1: the file is empty: write its settings into it"]


@pytest.mark.parametrize(
    ("text", "what"), [("[]", "a list"), ("a", "a"), ("5", "5"), ("true", "true")]
)
def test_a_file_that_is_no_mapping(file: Path, text: str, what: str) -> None:
    file.write_text(text)
    assert problems_of(file) == [f"1: must be a mapping, not {what}"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("version: 1\n---\na: b\n", "2: a second document begins here: keep one in a file"),
        ("a: *b\n", "1: a: no anchor &b stands before this alias: define it"),
        ("a: &b [*b]\n", "1: a[0]: *b refers to itself: remove it"),
        ("[" * 200_000, "1: nested more than 100 levels: flatten it"),
        ("a: 1\nb: [\n", "3: not valid YAML: while parsing a flow node, did not find expected node "
         "content: check the indentation, quotes and commas here"),
        ("a: b: c\n", "1: not valid YAML: mapping values are not allowed in this context: check "
         "the indentation, and quote a text that holds ': '"),
        ("a: @daily\n", "1: not valid YAML: while scanning for the next token, found character "
         "that cannot start any token: indent with spaces, and quote a text that begins with @, "
         "` or %"),
        ("a: * * * * *\n", "1: not valid YAML: while scanning an alias, did not find expected "
         "alphabetic or numeric character: quote a text that begins with * or &, such as "
         '"* * * * *"'),
        ("a: 1\nb: \x01\n", "2: a character that YAML does not allow: remove it"),
    ],
)  # fmt: skip
def test_yaml_that_cannot_be_parsed(file: Path, text: str, problem: str) -> None:
    file.write_text(text)
    assert problems_of(file) == [problem]


def test_an_alias_bomb_is_not_expanded(file: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    file.write_text("\n".join(lines))
    assert problems_of(file) == [
        "6: more than 500,000 values with all aliases expanded: use fewer aliases"
    ]


def test_a_bomb_of_merge_keys_is_not_expanded(file: Path) -> None:
    lines = [f"a0: &a0 {{{', '.join(f'k{n}: 1' for n in range(1000))}}}"]
    lines += [f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}" for n in range(1, 30)]
    file.write_text("\n".join(lines))
    assert problems_of(file) == [
        "8: more than 500,000 values with all aliases expanded: use fewer aliases"
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("version: !!int 1\n", "1: version: the tag tag:yaml.org,2002:int is not allowed: "
         "remove it, and quote what is text"),
        ("version: 1\nx: !!python/object:os.system {}\n", "2: x: the tag "
         "tag:yaml.org,2002:python/object:os.system is not allowed: remove it, and quote what is "
         "text"),
        ("version: 1\nx: !secret y\n", "2: x: the tag !secret is not allowed: remove it, and quote "
         "what is text"),
        ("version: 1\n<<: 1\n", "2: only a mapping, or a list of mappings, can be merged by '<<'"),
        ("version: 1\n~: 1\n", "2: a key is empty: name it"),
        ("version: 1\n? [a]\n: 1\n", "2: a key must be text: remove the mapping or list before the "
         "':'"),
        ("version: 1\nx: {a: 1, b: 2, a: 3}\n", "2: x.a: set already in line 2: remove one of the "
         "two"),
    ],
)  # fmt: skip
def test_yaml_that_says_more_than_data(file: Path, text: str, problem: str) -> None:
    file.write_text(text)
    assert problem in problems_of(file)


def test_a_problem_is_one_line_whatever_the_file_holds(file: Path) -> None:
    file.write_text('version: 1\n"a\\nb\\e": 1\nrollouts: {x: "y"}\n')
    assert problems_of(file) == [
        "2: ['a\\nb\\x1b']: unknown key: known here are defaults, policies, rollouts, version",
        "3: rollouts.x: must be a mapping, not y",
    ]
