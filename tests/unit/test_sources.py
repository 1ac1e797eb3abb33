"""A change is the same wherever it lies, and its connection alone opens object storage."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from airflow.sdk.io.store import attach
from fsspec.implementations.memory import MemoryFileSystem
from moto.server import ThreadedMotoServer

from phased_rollout import changes, sources
from phased_rollout.errors import ChangeError, UnreachableError
from phased_rollout.model.change import Change

TEMPLATE = "Parameters: {Days: {Type: Number}}\nResources: {A: {Type: AWS::SNS::Topic}}\n"
SETTINGS = "parameters: {Days: 30}\n"
CHANGE = Change("longer", {"template.yaml": TEMPLATE}, parameters={"Days": "30"})
URL = "memory://store@bucket/changes/longer"


def load(source: str, base: Path = Path("/nowhere")) -> Change:
    with sources.opened(source, base=base) as folder:
        return changes.load(str(folder), base=folder, given={})


def refusal(source: str) -> str:
    with pytest.raises(ChangeError) as refused:
        load(source)
    return str(refused.value)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryFileSystem]:
    """Object storage in memory, with a change and its neighbours."""
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps({"conn_type": "generic"}))
    storage = MemoryFileSystem()
    attach("memory", "store", fs=storage)
    put(storage, {"template.yaml": TEMPLATE, "change.yaml": SETTINGS, "README.md": "why"})
    put(storage, {"template.yaml": "another"}, folder="/bucket/changes/longer-still")
    yield storage
    storage.store.clear()
    storage.pseudo_dirs[:] = [""]


def put(
    storage: MemoryFileSystem, files: dict[str, str], folder: str = "/bucket/changes/longer"
) -> None:
    for name, text in files.items():
        storage.pipe_file(f"{folder}/{name}", text.encode())


def test_a_folder_is_found_from_its_base_and_by_its_url(tmp_path: Path) -> None:
    folder = tmp_path / "longer"
    folder.mkdir()
    (folder / "template.yaml").write_text(TEMPLATE)
    (folder / "change.yaml").write_text(SETTINGS)
    assert load("longer", tmp_path) == load(str(folder)) == load(f"file://{folder}") == CHANGE


def test_a_link_out_of_a_folder_is_refused_by_its_url_as_well(tmp_path: Path) -> None:
    folder = tmp_path / "longer"
    folder.mkdir()
    (tmp_path / "outside.yaml").write_text(TEMPLATE)
    (folder / "template.yaml").symlink_to(tmp_path / "outside.yaml")
    assert "template.yaml: points out of its folder" in refusal(f"file://{folder}")


@pytest.mark.parametrize("url", [URL, f"{URL}/"])
def test_a_change_in_object_storage_is_what_it_would_be_in_a_folder(
    memory: MemoryFileSystem, url: str
) -> None:
    assert load(url) == CHANGE
    assert load(url).digest == CHANGE.digest


def test_what_was_read_does_not_depend_on_the_source_any_more(memory: MemoryFileSystem) -> None:
    change = load(URL)
    put(memory, {"template.yaml": TEMPLATE.replace("A:", "B:")})
    assert change == CHANGE
    assert load(URL).digest != change.digest


def test_nothing_is_written_to_the_source_or_left_behind(
    memory: MemoryFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = dict(memory.store)
    with sources.opened(URL, base=tmp_path) as folder:
        assert folder.is_relative_to(tmp_path)
        assert folder.parent.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == []
    assert memory.store == before


def test_problems_are_said_of_the_url(memory: MemoryFileSystem) -> None:
    put(memory, {"change.yaml": "parameters:\n  Dais: 3\n", "notes.txt": ""})
    put(memory, {"deeper.yaml": ""}, folder="/bucket/changes/longer/nested")
    known = "unknown file: known are change.yaml, template.yaml, template.yml, template.json"
    assert refusal(URL).splitlines() == [
        f"{URL}/nested: {known}",
        f"{URL}/notes.txt: {known}",
        f"{URL}/change.yaml:2: parameters.Dais: the template has no such parameter, did you mean "
        "'Days'?",
    ]


def test_a_template_of_more_than_a_megabyte_is_refused(memory: MemoryFileSystem) -> None:
    put(memory, {"template.yaml": "#" * 1_000_001})
    assert f"{URL}/template.yaml:1: is larger than 1,000,000 bytes" in refusal(URL)


NOTHING = "nothing is there: correct it, so that it names the folder of the template"


@pytest.mark.parametrize("missing", ["changes/long", "changes/longer/template.yaml", "none/at/all"])
def test_a_prefix_that_matches_nothing_is_an_error(memory: MemoryFileSystem, missing: str) -> None:
    url = f"memory://store@bucket/{missing}"
    assert refusal(url) == f"{url}: {NOTHING}"


def test_a_folder_of_hidden_files_only_is_nothing(memory: MemoryFileSystem) -> None:
    put(memory, {".keep": "", "README": ""}, folder="/bucket/empty")
    assert NOTHING in refusal("memory://store@bucket/empty")


def test_too_many_files_are_not_even_opened(
    memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(memory, {f"{n}.yaml": "" for n in range(101)}, folder="/bucket/many")
    monkeypatch.setattr(memory, "open", None)
    url = "memory://store@bucket/many"
    assert refusal(url).startswith(f"{url}: 101 files of 0 bytes, and a change has at most 100")


def test_too_many_bytes_are_not_even_opened(
    memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(memory, {"template.yaml": "#" * 10_000_001})
    monkeypatch.setattr(memory, "open", None)
    assert "2 files of 10,000,024 bytes, and a change has at most" in refusal(URL)


def test_no_more_is_read_than_the_limit_however_large_a_file_has_become(
    memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = memory.ls("/bucket/changes/longer", detail=True)
    put(memory, {"template.yaml": "#" * 10_000_001})
    monkeypatch.setattr(memory, "ls", lambda *_, **__: listed)
    assert "the files grew while they were read" in refusal(URL)


@pytest.mark.parametrize(
    "source",
    [
        "s3://bucket/changes",
        "s3://key:secret@bucket/changes",
        "s3://store@bucket/changes/../../other",
        "s3://store@bucket/./changes",
        "s3://store@bucket//changes",
        "s3://store@bucket/changes?X-Amz-Signature=secret",
        "s3://store@",
        "file://host/changes",
        "https://secret/changes",
    ],
)
def test_a_url_without_a_connection_or_with_a_secret_is_refused_unsaid(source: str) -> None:
    assert refusal(source) == (
        "the change is no place of a change: write a folder, or a URL with the id of the Airflow "
        "connection that may read it and nothing secret, such as s3://connection@bucket/prefix"
    )


def test_a_connection_that_does_not_exist_is_never_replaced_by_other_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def touched(*_: Any, **__: Any) -> None:
        raise AssertionError("storage was opened")

    monkeypatch.setattr("airflow.sdk.io.get_fs", touched)
    assert refusal("s3://nobody@bucket/changes") == (
        "s3://nobody@bucket/changes: the connection nobody does not exist: create it in Airflow, "
        "or correct the URL"
    )


def test_a_kind_of_storage_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps({"conn_type": "generic"}))
    for scheme in ("http", "nope"):
        assert "Airflow has no storage of this kind" in refusal(f"{scheme}://store@host/changes")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError("Access Denied"), "its connection may not read it"),
        (ImportError("s3fs"), "the library for it is not installed"),
    ],
)
def test_what_a_retry_cannot_mend_is_a_problem_of_the_change(
    memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    monkeypatch.setattr(memory, "ls", raising(error))
    assert said in refusal(URL)


def test_storage_that_does_not_answer_is_asked_again_and_its_words_are_not_repeated(
    memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "ls", raising(OSError("https://user:secret@host timed out")))
    with pytest.raises(UnreachableError) as unreachable:
        load(URL)
    assert str(unreachable.value) == f"{URL}: cannot be read now (OSError)"


def raising(error: Exception) -> Any:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    return fail


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A bucket that the connection ``store`` may read."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    extra = {"region_name": "us-east-1", "endpoint_url": endpoint}
    connection = {"conn_type": "aws", "login": "key", "password": "secret", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_S3_CHANGES", json.dumps(connection))
    resource = boto3.resource(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )
    yield resource.create_bucket(Bucket="bucket")
    server.stop()


def test_a_change_in_s3(bucket: Any) -> None:
    url = "s3://s3_changes@bucket/team/longer"
    bucket.put_object(Key="team/longer/", Body=b"")
    bucket.put_object(Key="team/longer/template.yaml", Body=TEMPLATE.encode())
    bucket.put_object(Key="team/longer/change.yaml", Body=SETTINGS.encode())
    bucket.put_object(Key="team/longer/.keep", Body=b"")
    bucket.put_object(Key="team/longer-still/template.yaml", Body=b"another")
    assert load(url) == CHANGE
    bucket.put_object(Key="team/longer/change.yaml", Body=b"")
    assert refusal(url) == f"{url}/change.yaml:1: the file is empty: write its settings into it"
    bucket.put_object(Key="team/longer/nested/template.yaml", Body=b"")
    assert f"{url}/nested: unknown file" in refusal(url)
    for missing in ("team/long", "team/longer/template.yaml"):
        assert NOTHING in refusal(f"s3://s3_changes@bucket/{missing}")
    assert NOTHING in refusal("s3://s3_changes@no-such-bucket/longer")
