"""What a change folder becomes, and what is said of one that is no change."""

from __future__ import annotations

import math
import os
import re
import textwrap
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as drawn
from hypothesis import strategies as st

from phased_rollout import changes
from phased_rollout.errors import ChangeError
from phased_rollout.model.change import Change
from phased_rollout.model.definition import AdapterSpec
from tests.builders import a_channel, a_definition

TEMPLATE = """\
Parameters:
  Days: {Type: Number, Default: 1}
  Names: {Type: CommaDelimitedList}
  Password: {Type: String, NoEcho: true}
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    Properties: {BucketName: !Sub "logs-${Days}", Key: !GetAtt [Other, Arn]}
"""
SETTINGS = """\
description: Keep the logs longer
parameters:
  Days: 30
overrides:
  channels:
    production: {Days: 365}
  targets:
    test-1: {Days: 7}
tags: {owner: ops}
capabilities: [CAPABILITY_IAM]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "changes" / "longer"
    folder.mkdir(parents=True)
    (folder / "template.yaml").write_text(TEMPLATE)
    (folder / "change.yaml").write_text(SETTINGS)
    return folder


def load(folder: Path, **given: Any) -> Change:
    return changes.load(folder.name, base=folder.parent, given=given)


def test_a_change_may_declare_what_it_provides_and_requires(folder: Path) -> None:
    (folder / "change.yaml").write_text(
        'provides: {api: 2.10, queue: [1, 2, 1]}\nrequires: {api: ">=2,<3", db: "==1.4"}\n'
    )
    change = load(folder)
    assert change.provides == {"api": ("2.10",), "queue": ("1", "2")}
    assert change.requires == {"api": ">=2,<3", "db": "==1.4"}


def test_what_the_page_shows_of_boundaries_is_taken(folder: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/configure.md").read_text()
    [block] = re.findall(r"^    # change.yaml\n(?:    .*\n)+", page, re.MULTILINE)
    (folder / "change.yaml").write_text(textwrap.dedent(block))
    change = load(folder)
    assert change.provides == {"api": ("1", "2")}
    assert change.requires == {"api": ">=1,<3", "db": "==2"}


def problems_of(folder: Path, given: Mapping[str, Any] | None = None) -> list[str]:
    """Give the problems without the path of the folder."""
    with pytest.raises(ChangeError) as caught:
        changes.load(str(folder), base=Path("elsewhere"), given=given or {})
    return [p.removeprefix(f"{folder}").removeprefix("/") for p in str(caught.value).splitlines()]


def test_a_folder_becomes_a_change(folder: Path) -> None:
    (folder / "README.md").write_text("why")
    (folder / ".gitkeep").touch()
    assert changes.load("changes/longer", base=folder.parents[1], given={"Days": 5}) == Change(
        name="longer",
        files={"template.yaml": TEMPLATE},
        description="Keep the logs longer",
        parameters={"Days": "30"},
        channels={"production": {"Days": "365"}},
        targets={"test-1": {"Days": "7"}},
        tags={"owner": "ops"},
        capabilities=("CAPABILITY_IAM",),
        given={"Days": "5"},
    )


def test_a_template_alone_is_a_change(folder: Path) -> None:
    (folder / "change.yaml").unlink()
    (folder / "template.yaml").rename(folder / "template.yml")
    assert load(folder) == Change(name="longer", files={"template.yml": TEMPLATE})


def test_a_template_may_be_json(folder: Path) -> None:
    (folder / "template.yaml").unlink()
    text = '{\n\t"Parameters": {"Days": {}}, "Resources": {"A": {"Type": "B"}}}'
    (folder / "template.json").write_text(text)
    assert load(folder).files == {"template.json": text}


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("true", "true"),
        ("False", "false"),
        ("30", "30"),
        ("0123", "0123"),
        ("1.0", "1.0"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2012-10-17", "2012-10-17"),
        ("1e3", "1e3"),
        (".nan", ".nan"),
        ("'NO'", "NO"),
        ("''", ""),
        ("text", "text"),
        ("[a, 1.0, true]", "a,1.0,true"),
        ("[]", ""),
    ],
)
def test_a_parameter_is_given_as_it_is_written(folder: Path, written: str, text: str) -> None:
    (folder / "change.yaml").write_text(f"parameters: {{Days: {written}}}")
    assert load(folder).parameters == {"Days": text}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (False, "false"),
        (30, "30"),
        (1.5, "1.5"),
        ("0123", "0123"),
        (["a", 1, True], "a,1,true"),
    ],
)
def test_a_parameter_of_the_run_becomes_text_in_the_same_way(
    folder: Path, value: Any, text: str
) -> None:
    assert load(folder, Days=value).given == {"Days": text}


NULL = "has no value: give it one, or remove it to use the template's default"
MAPPING = "must be one value or a list of values: write JSON as text, in quotes"
COMMA = "holds a ',' in an item, which would split it in two: remove it"
NESTED = "holds a list inside a list: make it one list"
NO_ECHO = (
    "the template says NoEcho, and a value written here would be kept in the records: "
    "write a dynamic reference, such as {{resolve:secretsmanager:…}}"
)


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("Days:", f"Days: {NULL}"),
        ("Days: {a: b}", f"Days: {MAPPING}"),
        ("Days: ['a,b']", f"Days: {COMMA}"),
        ("Days: [[a]]", f"Days: {NESTED}"),
        ("Days: [~]", f"Days: {NULL}"),
        (
            "Days: NO",
            "Days: YAML reads NO as a boolean: write true or false, or quote it",
        ),
        ("Dais: 1", "Dais: the template has no such parameter, did you mean 'Days'?"),
        (
            "X: 1",
            "X: the template has no such parameter: it declares Days, Names, Password",
        ),
        (
            "log-days: 1",
            "log-days: log-days cannot name a parameter: use letters and digits only",
        ),
        ("Password: hunter2", f"Password: {NO_ECHO}"),
        (f"Days: {'x' * 4097}", "Days: is longer than 4096 bytes: shorten it"),
    ],
)
def test_a_parameter_that_cloudformation_would_not_take(
    folder: Path, written: str, problem: str
) -> None:
    (folder / "change.yaml").write_text(f"parameters:\n  {written}\n")
    assert problems_of(folder) == [f"change.yaml:2: parameters.{problem}"]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"Days": None}, f"'Days' of this run: {NULL}"),
        ({"Days": {"a": 1}}, f"'Days' of this run: {MAPPING}"),
        (
            {"Days": "\ud800"},
            "'Days' of this run: holds half a character, which is no text: correct it",
        ),
        ({"Days": math.inf}, f"'Days' of this run: {MAPPING}"),
        (
            {"Dais": 1},
            "'Dais' of this run: the template has no such parameter, did you mean 'Days'?",
        ),
        ({"Password": "hunter2"}, f"'Password' of this run: {NO_ECHO}"),
    ],
)
def test_a_parameter_of_the_run_that_cloudformation_would_not_take(
    folder: Path, given: dict[str, Any], problem: str
) -> None:
    assert problems_of(folder, given) == [f"parameter {problem}"]


def test_a_secret_may_be_referred_to(folder: Path) -> None:
    reference = "{{resolve:secretsmanager:name}}"
    assert load(folder, Password=reference).given == {"Password": reference}


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["1: the file is empty: write its settings into it"]),
        ("descripton: x", ["1: descripton: unknown key, did you mean 'description'?"]),
        ("tags: {a: 1}\ntags: {}", ["2: tags: set already in line 1: remove one of the two"]),
        (
            "tags: {'aws:x': a}",
            [
                "1: tags['aws:x']: aws:x cannot be a tag's key: use letters, digits and "
                ".:/=+@-_, at most 128, not aws:…"
            ],
        ),
        (
            "capabilities: [CAPABILITY_ALL]",
            [
                "1: capabilities[0]: must be 'CAPABILITY_IAM', 'CAPABILITY_NAMED_IAM' or "
                "'CAPABILITY_AUTO_EXPAND', not 'CAPABILITY_ALL'"
            ],
        ),
        (
            "overrides:\n  chanels: {}\n  targets: {a: {Dais: 1}}",
            ["2: overrides.chanels: unknown key, did you mean 'channels'?"],
        ),
        (
            "provides:\n  api: [1, 2.0rc1]\n  db: []\n  q: true\n  'a b': 1\n",
            [
                "2: provides.api: 2.0rc1 is no version: write one such as 2 or 1.4, or a list",
                "3: provides.db: is empty: name the version that is provided",
                "4: provides.q: true is no version: write one such as 2 or 1.4, or a list",
                "5: provides['a b']: a b cannot name an interface: use letters, digits, '_', '-' "
                "and '.', at most 100",
            ],
        ),
        (
            'requires:\n  api: 2\n  db: ">=1,,<3"\n  q: [">=1"]\n',
            [
                '2: requires.api: 2 is no condition: write one such as ">=2" or ">=1,<3", in '
                "quotes",
                '3: requires.db: >=1,,<3 is no condition: write one such as ">=2" or ">=1,<3", in '
                "quotes",
                "4: requires.q: must be text, not a list",
            ],
        ),
        (
            "overrides:\n  targets: {a: {Dais: 1}}",
            [
                "2: overrides.targets.a.Dais: the template has no such parameter, did you mean "
                "'Days'?"
            ],
        ),
    ],
)
def test_a_change_file_that_says_nothing_sensible(
    folder: Path, text: str, problems: list[str]
) -> None:
    (folder / "change.yaml").write_text(text)
    assert problems_of(folder) == [f"change.yaml:{problem}" for problem in problems]


RESOURCES = "1: Resources is missing or empty, so nothing would be rolled out: add one"


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("template.yaml", "", "1: the file is empty: write the template into it"),
        ("template.yaml", "# nothing", "1: the file is empty: write its settings into it"),
        ("template.yaml", "Parameters: {}", RESOURCES),
        ("template.yaml", "Resources:", RESOURCES),
        ("template.yaml", "Resources: {}", RESOURCES),
        ("template.yaml", "[Resources]", "1: must be a mapping with Resources: correct it"),
        (
            "template.yaml",
            "Resources:\n  A: {}\n  A: {}\n",
            "3: Resources.A: set already in line 2: remove one of the two",
        ),
        (
            "template.yaml",
            "Parameters: [a]\nResources: {A: {}}",
            "1: Parameters must be a mapping: correct it",
        ),
        (
            "template.yaml",
            "Resources:\n  - [",
            "3: not valid YAML: while parsing a flow node, did not find expected node content: "
            "check the indentation, quotes and commas here",
        ),
        ("template.json", '{"Resources": {}}', RESOURCES),
        ("template.json", "[]", "1: must be a mapping with Resources: correct it"),
        (
            "template.json",
            '{\n"Resources": }',
            "2: not valid JSON: expecting value: correct it",
        ),
        (
            "template.json",
            "[" * 100_000,
            "1: nested too deep, or with numbers too long: simplify it",
        ),
    ],
)
def test_a_template_that_would_roll_out_nothing(
    folder: Path, name: str, text: str, problem: str
) -> None:
    (folder / "change.yaml").unlink()
    (folder / "template.yaml").unlink()
    (folder / name).write_text(text)
    assert problems_of(folder) == [f"{name}:{problem}"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert problems_of(tmp_path / "x") == [
        ": no such folder: create it, or correct the name of the change"
    ]


def test_a_file_instead_of_a_folder(folder: Path) -> None:
    assert problems_of(folder / "template.yaml") == [
        ": is no folder: name the folder that holds the template"
    ]


def test_a_name_that_no_folder_can_have(tmp_path: Path) -> None:
    with pytest.raises(ChangeError, match="cannot be read: "):
        changes.load("a\0b", base=tmp_path, given={})


ONE = "keep exactly one of template.yaml, template.yml, template.json"


def test_no_template_or_two(folder: Path) -> None:
    (folder / "template.json").write_text("{}")
    assert problems_of(folder) == [f": found template.yaml and template.json: {ONE}"]
    (folder / "template.json").unlink()
    (folder / "template.yaml").unlink()
    assert problems_of(folder) == [f": found none: {ONE}"]


def test_files_that_nobody_would_read_are_refused(folder: Path) -> None:
    (folder / "chnage.yaml").touch()
    (folder / "nested").mkdir()
    assert problems_of(folder) == [
        "chnage.yaml: unknown file, did you mean 'change.yaml'?",
        "nested: unknown file: known are change.yaml, template.yaml, template.yml, template.json",
    ]


def test_a_link_out_of_the_folder_is_not_followed(folder: Path, tmp_path: Path) -> None:
    (folder / "change.yaml").unlink()
    (tmp_path / "secret").write_text("description: x")
    (folder / "change.yaml").symlink_to(tmp_path / "secret")
    assert problems_of(folder) == [
        "change.yaml: points out of its folder: put a copy here",
    ]


def test_a_link_inside_the_folder_is_followed(folder: Path) -> None:
    (folder / "..data").mkdir()
    (folder / "change.yaml").rename(folder / "..data" / "change.yaml")
    (folder / "change.yaml").symlink_to("..data/change.yaml")
    assert load(folder).description == "Keep the logs longer"


def test_a_pipe_is_refused_without_waiting_for_its_writer(folder: Path) -> None:
    (folder / "change.yaml").unlink()
    os.mkfifo(folder / "change.yaml")
    assert problems_of(folder) == ["change.yaml:1: is not a regular file: name one"]


def test_more_than_a_megabyte_and_other_encodings_are_refused(folder: Path) -> None:
    (folder / "template.yaml").write_text("#" * 1_000_001)
    (folder / "change.yaml").write_bytes(b"a: \xff")
    assert problems_of(folder) == [
        "template.yaml:1: is larger than 1,000,000 bytes: split it",
        "change.yaml:1: byte 0xff is not UTF-8: save the file as UTF-8",
    ]


def test_overrides_for_what_the_definition_does_not_have() -> None:
    change = Change(
        name="x",
        files={},
        channels={"tset": {}, "test": {}},
        targets={"test-9": {}, "test-1": {}, "zzz": {}},
    )
    assert changes.check_against(change, a_definition(a_channel("test", targets=1))) == [
        "change 'x': overrides.channels.tset: accounts has no such channel, did you mean 'test'?",
        "change 'x': overrides.targets.test-9: accounts has no such target, did you mean 'test-1'?",
        "change 'x': overrides.targets.zzz: accounts has no such target: correct its name",
    ]


SCRAPS = [*"{}[]:,-?&*!'\"%# \n\t01ax", "Resources:\n", "  A: !Ref B\n", "parameters: ", "Days"]


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@drawn(
    settings_=st.lists(st.sampled_from(SCRAPS), max_size=20).map("".join),
    template=st.lists(st.sampled_from(SCRAPS), max_size=20).map("".join) | st.just(TEMPLATE),
    given=st.dictionaries(
        st.text(max_size=3) | st.just("Days"),
        st.none() | st.booleans() | st.floats() | st.text(max_size=3) | st.lists(st.integers()),
        max_size=2,
    ),
)
def test_whatever_is_in_the_folder_is_a_change_or_a_problem(
    folder: Path, settings_: str, template: str, given: dict[str, Any]
) -> None:
    (folder / "change.yaml").write_text(settings_)
    (folder / "template.yaml").write_text(template)
    try:
        change = load(folder, **given)
    except ChangeError as error:
        text = str(error)
    else:
        text = change.files["template.yaml"]
    assert text


def several(folder: Path, given: Mapping[str, Any] | None = None) -> Change:
    """Load the change of a definition that has two stacks."""
    return changes.load(
        folder.name, base=folder.parent, given=given or {}, templates=["base.yaml", "app.json"]
    )


@pytest.fixture
def two(folder: Path) -> Path:
    (folder / "template.yaml").rename(folder / "base.yaml")
    text = '{"Parameters": {"Size": {}, "Names": {}}, "Resources": {"A": {"Type": "B"}}}'
    (folder / "app.json").write_text(text)
    return folder


def test_each_stack_of_a_definition_has_its_template(two: Path) -> None:
    assert sorted(several(two, {"Size": 3, "Names": "x"}).files) == ["app.json", "base.yaml"]


def test_a_template_that_a_stack_wants_is_not_there(two: Path) -> None:
    (two / "app.json").rename(two / "ap.json")
    with pytest.raises(ChangeError) as error:
        several(two)
    assert str(error.value).splitlines() == [
        f"{two}/ap.json: unknown file, did you mean 'app.json'?",
        f"{two}: found no app.json, which the rollout's `stacks` ask for: add it",
    ]


def test_a_parameter_that_none_of_the_templates_declares(two: Path) -> None:
    (two / "change.yaml").write_text("parameters:\n  Alien: 1\n  Size: 3\n  Password: x\n")
    with pytest.raises(ChangeError) as error:
        several(two)
    assert str(error.value).splitlines() == [
        f"{two}/change.yaml:2: parameters.Alien: no template has such a parameter: base.yaml "
        "declares Days, Names, Password; app.json declares Names, Size",
        f"{two}/change.yaml:4: parameters.Password: {NO_ECHO}",
    ]


def test_a_definition_tells_which_templates_its_stacks_want() -> None:
    stacks = [{"name": n, "template": f"{n}.yaml"} for n in ("base", "app")]
    of_two = AdapterSpec("cloudformation", {"stacks": stacks})
    definition = replace(a_definition(a_channel("test", targets=1)), substrate=of_two)
    assert changes.templates_of(definition) == ("base.yaml", "app.yaml")
    of_another = replace(definition, substrate=AdapterSpec("other", {"stacks": 3}))
    assert changes.templates_of(of_another) is None
    assert changes.templates_of(a_definition(a_channel("test", targets=1))) == ()


def test_a_template_that_is_too_long_without_a_bucket() -> None:
    change = Change(name="x", files={"template.yaml": "x" * 51_201})
    definition = a_definition(a_channel("test", targets=1))
    assert changes.check_against(change, definition) == [
        "change 'x': template.yaml: 51,201 bytes, but CloudFormation takes at most 51,200 without "
        "a bucket: set `bucket` in the substrate of accounts"
    ]
    spec = definition.substrate
    with_one = replace(spec, options={**spec.options, "bucket": "templates"})
    assert changes.check_against(change, replace(definition, substrate=with_one)) == []
    at_most = Change(name="x", files={"template.yaml": "x" * 51_200})
    assert changes.check_against(at_most, definition) == []


def test_the_short_forms_of_intrinsics_are_read(folder: Path) -> None:
    (folder / "change.yaml").unlink()
    (folder / "template.yaml").write_text(
        "Resources:\n  A:\n    Properties:\n"
        "      X: !If [C, !GetAtt B.C, !Sub ['${D}', {D: !Ref E}]]\n"
        "      Y: !Transform {Name: AWS::Include, Parameters: {Location: !ImportValue x}}\n"
    )
    assert list(load(folder).files) == ["template.yaml"]


@pytest.mark.parametrize("templates", [(), None])
def test_a_folder_of_more_than_a_hundred_files_is_not_read(
    folder: Path, templates: tuple[str, ...] | None
) -> None:
    for number in range(101):
        (folder / f"{number}.yaml").touch()
    with pytest.raises(ChangeError, match="longer: holds more than 100 files: name the folder of"):
        changes.load(folder.name, base=folder.parent, given={}, templates=templates)


def test_a_folder_whose_files_are_too_much_together_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "MAX_BYTES_IN_ALL", 100)
    (tmp_path / "big").mkdir()
    for name in ("a.json", "b.json"):
        (tmp_path / "big" / name).write_text("x" * 60)
    with pytest.raises(ChangeError, match="big: more than 100 bytes in all: split the change"):
        changes.load("big", base=tmp_path, given={}, templates=None)


def test_a_name_neither_breaks_a_line_nor_steers_a_terminal(folder: Path) -> None:
    (folder / "a\n\x1b[2J\u202e").touch()
    with pytest.raises(ChangeError) as raised:
        load(folder)
    assert str(raised.value).isprintable()
    assert r"a\n\x1b[2J\u202e: unknown file" in str(raised.value)


def test_a_link_to_itself_and_a_name_that_is_no_text_are_refused(folder: Path) -> None:
    (folder / "change.yaml").unlink()
    (folder / "change.yaml").symlink_to("change.yaml")
    (folder / os.fsdecode(b"\xff.yaml")).touch()
    with pytest.raises(ChangeError) as raised:
        load(folder)
    assert str(raised.value).encode().isascii()


def test_a_long_text_that_is_repeated_by_aliases_counts_as_many_values(folder: Path) -> None:
    repeated = ", ".join(f"a{number}: *x" for number in range(1000))
    (folder / "change.yaml").write_text(f"description: &x {'y' * 60_000}\ntags: {{{repeated}}}\n")
    assert "more than 500,000 values with all aliases expanded" in problems_of(folder)[0]
