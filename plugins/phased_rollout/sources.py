"""Gets a change from where it lies: a folder, or object storage by an Airflow connection.

What lies in object storage is copied into a private folder and judged there, so that the same
limits and refusals hold for it. Nothing is ever written to the source. Airflow is imported only for
object storage, because the command line does without.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from phased_rollout.changes import MAX_BYTES_IN_ALL as MAX_BYTES
from phased_rollout.changes import MAX_FILES
from phased_rollout.config.source import is_remote, path_of, problem_of
from phased_rollout.errors import ChangeError, UnreachableError

_IGNORED = (".", "README")
"""Beginnings of the names of files that are no part of a change."""


@contextmanager
def opened(source: str, *, base: Path) -> Iterator[Path]:
    """Give the folder of a change for as long as the context lasts.

    :param source: a folder, relative to ``base`` or absolute, ``file:///folder``, or a URL such as
        ``s3://connection@bucket/prefix``
    :raises ChangeError: when there is nothing, or too much; problems found in the folder meanwhile
        are said of the URL
    :raises UnreachableError: when object storage does not answer
    """
    if problem := problem_of(source):
        raise ChangeError(f"the change {problem}")
    if not is_remote(source):
        yield base / path_of(source)
        return
    url = source.rstrip("/")
    with TemporaryDirectory(prefix="phased-rollout-") as scratch:
        folder = Path(scratch) / url.rpartition("/")[2].rpartition("@")[2]
        folder.mkdir()
        _fetch(url, folder)
        try:
            yield folder
        except ChangeError as error:
            raise ChangeError(str(error).replace(str(folder), url)) from error


def _fetch(url: str, folder: Path) -> None:
    try:
        _copy(url, folder)
    except (ChangeError, UnreachableError):
        raise
    except FileNotFoundError as error:
        raise ChangeError(_nothing(url)) from error
    except PermissionError as error:
        raise ChangeError(
            f"{url}: its connection may not read it: give it the right to list and to read"
        ) from error
    except ImportError as error:
        raise ChangeError(
            f"{url}: the library for it is not installed: for s3, pip install 'phased-rollout[s3]'"
        ) from error
    except Exception as error:  # each kind of storage has errors of its own; texts may hold secrets
        raise UnreachableError(f"{url}: cannot be read now ({type(error).__name__})") from error


def _copy(url: str, folder: Path) -> None:
    """Copy what lies right below the URL, after a look at how much it is."""
    storage, path = _storage(url)
    storage.invalidate_cache()
    entries = {
        entry["name"].rstrip("/").rpartition("/")[2]: entry
        for entry in storage.ls(path, detail=True)
        if entry["name"].strip("/") != path.strip("/")  # the folder itself, as some tools store it
    }
    wanted = {name: e for name, e in entries.items() if not name.startswith(_IGNORED)}
    if not wanted:
        raise ChangeError(_nothing(url))
    size = sum(entry.get("size") or 0 for entry in wanted.values())
    if len(wanted) > MAX_FILES or size > MAX_BYTES:
        raise ChangeError(_too_much(url, f"{len(wanted)} files of {size:,} bytes"))
    left = MAX_BYTES
    for name, entry in wanted.items():
        if entry["type"] == "directory":
            (folder / name).mkdir()
            continue
        with storage.open(entry["name"], "rb") as stream:
            content = stream.read(left + 1)
        left -= len(content)
        if left < 0:
            raise ChangeError(_too_much(url, "the files grew while they were read"))
        (folder / name).write_bytes(content)


def _storage(url: str) -> tuple[Any, str]:
    """Open the storage by the URL's connection, which must exist."""
    from phased_rollout.storage import storage_at  # noqa: PLC0415

    try:
        root = storage_at(url)
        return root.fs, root.path
    except LookupError as error:
        raise ChangeError(f"{url}: {error}: create it in Airflow, or correct the URL") from error
    except ValueError as error:
        raise ChangeError(f"{url}: Airflow has no storage of this kind installed") from error


def _nothing(url: str) -> str:
    return f"{url}: nothing is there: correct it, so that it names the folder of the template"


def _too_much(url: str, what: str) -> str:
    return (
        f"{url}: {what}, and a change has at most {MAX_FILES} files of {MAX_BYTES:,} bytes: "
        "name the folder of one change"
    )
