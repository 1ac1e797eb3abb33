"""Reads a change from its folder: templates or whatever its kind takes, parameters, tags."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from phased_rollout.config.change_file import Settings, parameter_text
from phased_rollout.config.document import parse, read_text
from phased_rollout.config.explain import validated
from phased_rollout.config.nodes import Scalars
from phased_rollout.config.problems import Problems, did_you_mean, on_one_line
from phased_rollout.errors import ChangeError
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Definition
from phased_rollout.templates import Template, Templates

SETTINGS = "change.yaml"
TEMPLATES = ("template.yaml", "template.yml", "template.json")
IN_A_REQUEST = 51_200
MAX_BYTES = 1_000_000
"""Bytes of a template: what CloudFormation takes in a request, and from a bucket."""
MAX_FILES, MAX_BYTES_IN_ALL = 100, 10_000_000
"""What a folder may hold, wherever it lies."""


def templates_of(definition: Definition) -> tuple[str, ...] | None:
    """Name the files that a definition of several stacks wants; none: one of ``TEMPLATES``.

    None: any files, which the substrate judges.
    """
    if definition.substrate.kind != "cloudformation":
        return None
    stacks = definition.substrate.options.get("stacks") or ()
    return tuple(dict.fromkeys(stack["template"] for stack in stacks))


def load(
    source: str, *, base: Path, given: Mapping[str, Any], templates: Sequence[str] | None = ()
) -> Change:
    """Read a change folder, once; what is returned no longer depends on it.

    :param source: the folder; relative to ``base``, or absolute
    :param given: parameters of this run, as JSON values; they win over those of the folder
    :param templates: the files that must be there; none: exactly one of ``TEMPLATES``; None: any
    :raises ChangeError: with every problem, one a line, each with file and line where it has one
    """
    folder = Path(os.path.normpath(base / source))
    problems: list[str] = []
    files = _files(folder, templates, problems)
    read = _templates(folder, files, templates, problems)
    settings = _settings(files[SETTINGS], read, problems) if SETTINGS in files else Settings()
    values = dict(_given(given, read, problems))
    if problems or read is None:
        raise ChangeError("\n".join(map(on_one_line, problems)))
    return Change(
        name=folder.name,
        files={template.file: template.text for template in read.all},
        description=settings.description,
        parameters=settings.parameters,
        channels=settings.overrides.channels,
        targets=settings.overrides.targets,
        tags=settings.tags,
        capabilities=tuple(settings.capabilities),
        given=values,
        provides=settings.provides,
        requires=settings.requires,
    )


def check_against(change: Change, definition: Definition) -> list[str]:
    """Say which overrides are for nothing that the definition has, and what it cannot submit.

    Overrides for targets are not judged while some of the targets are still to be found.
    """
    channels = {channel.name for channel in definition.channels}
    targets = {t.name for c in definition.channels for t in (*c.targets, *c.on_hold)}
    whole = all(c.select is None for c in definition.channels)
    sides = (
        ("channel", "channels", change.channels, channels),
        ("target", "targets", change.targets if whole else {}, targets),
    )
    return [
        f"change {change.name!r}: overrides.{key}.{name}: {definition.name} has no such {kind}"
        f"{did_you_mean(name, known) or ': correct its name'}"
        for kind, key, overrides, known in sides
        for name in overrides
        if name not in known
    ] + list(_too_long(change, definition))


def _too_long(change: Change, definition: Definition) -> Iterator[str]:
    if definition.substrate.kind != "cloudformation" or definition.substrate.options.get("bucket"):
        return
    for name, text in change.files.items():
        if (size := len(text.encode())) > IN_A_REQUEST:
            yield (
                f"change {change.name!r}: {name}: {size:,} bytes, but CloudFormation takes at most "
                f"{IN_A_REQUEST:,} without a bucket: set `bucket` in the substrate of "
                f"{definition.name}"
            )


def _files(folder: Path, templates: Sequence[str] | None, problems: list[str]) -> dict[str, Path]:
    """Give the files to read; note whatever else is there."""
    try:
        entries = sorted(islice(folder.iterdir(), MAX_FILES + 1))
        inside = folder.resolve(strict=True)
    except FileNotFoundError:
        problems.append(f"{folder}: no such folder: create it, or correct the name of the change")
    except NotADirectoryError:
        problems.append(f"{folder}: is no folder: name the folder that holds the template")
    except (OSError, ValueError) as error:
        problems.append(f"{folder}: cannot be read: {error}")
    else:
        if len(entries) > MAX_FILES:
            what = f"holds more than {MAX_FILES} files: name the folder of one change"
            problems.append(f"{folder}: {what}")
            return {}
        ignored = [e for e in entries if e.name.startswith((".", "README"))]
        if templates is None:
            return _any_files(entries, inside, ignored, problems)
        known = (SETTINGS, *(templates or TEMPLATES))
        for entry in entries:
            if entry.name not in known and entry not in ignored:
                close = did_you_mean(entry.name, known) or f": known are {', '.join(known)}"
                problems.append(f"{entry}: unknown file{close}")
        return dict(_within([e for e in entries if e.name in known], inside, problems))
    return {}


def _any_files(
    entries: Sequence[Path], inside: Path, ignored: Sequence[Path], problems: list[str]
) -> dict[str, Path]:
    """Give all files, but no folder: what is below one must not go unseen."""
    wanted = [entry for entry in entries if entry not in ignored]
    problems.extend(
        f"{entry}: is a folder: put its files here, in the change's own"
        for entry in wanted
        if entry.is_dir()
    )
    return dict(_within([entry for entry in wanted if not entry.is_dir()], inside, problems))


def _within(files: Sequence[Path], inside: Path, problems: list[str]) -> Iterator[tuple[str, Path]]:
    for file in files:
        try:
            is_inside = file.resolve().is_relative_to(inside)
        except (OSError, RuntimeError):  # a link to itself
            is_inside = False
        if is_inside:
            yield file.name, file
        else:
            problems.append(f"{file}: points out of its folder: put a copy here")


def _templates(
    folder: Path, files: Mapping[str, Path], wanted: Sequence[str] | None, problems: list[str]
) -> Templates | None:
    if not folder.is_dir():
        return None
    if wanted is None:
        return _any_content(folder, files, problems)
    found = [name for name in wanted or TEMPLATES if name in files]
    if not wanted and len(found) != 1:
        what = f"found {' and '.join(found)}" if found else "found none"
        problems.append(f"{folder}: {what}: keep exactly one of {', '.join(TEMPLATES)}")
        return None
    problems.extend(
        f"{folder}: found no {name}, which the rollout's `stacks` ask for: add it"
        for name in wanted
        if name not in found
    )
    read = [_template(folder / name, problems) for name in found]
    return Templates(tuple(each for each in read if each)) if all(read) else None


def _any_content(folder: Path, files: Mapping[str, Path], problems: list[str]) -> Templates | None:
    found: list[Template] = []
    for name in sorted(set(files) - {SETTINGS}):
        noted = Problems(str(folder / name))
        text = read_text(files[name], noted, limit=MAX_BYTES)
        problems.extend(noted.texts())
        if text is not None:
            found.append(Template(name, text, frozenset(), frozenset()))
        if sum(len(each.text) for each in found) > MAX_BYTES_IN_ALL:
            what = f"more than {MAX_BYTES_IN_ALL:,} bytes in all: split the change"
            problems.append(f"{folder}: {what}")
            return None
    if not found and not problems:
        problems.append(f"{folder}: holds no file, so nothing would be rolled out: add one")
    return Templates(tuple(found), any_content=True)


def _template(file: Path, problems: list[str]) -> Template | None:
    noted = Problems(str(file))
    text = read_text(file, noted, limit=MAX_BYTES)
    parsed = None if text is None else _parsed(text, file.name, noted)
    if isinstance(parsed, dict):
        resources, parameters = parsed.get("Resources"), parsed.get("Parameters") or {}
        if not isinstance(resources, dict) or not resources:
            noted.add("Resources is missing or empty, so nothing would be rolled out: add one")
        if not isinstance(parameters, dict):
            noted.add("Parameters must be a mapping: correct it")
    elif parsed is not None:
        noted.add("must be a mapping with Resources: correct it")
    problems.extend(noted.texts())
    if noted or text is None:
        return None
    no_echo = {
        n for n, p in parameters.items() if isinstance(p, dict) and _is_true(p.get("NoEcho"))
    }
    return Template(file.name, text, frozenset(parameters), frozenset(no_echo))


def _parsed(text: str, name: str, noted: Problems) -> Any:
    if not text.strip():
        noted.add("the file is empty: write the template into it")
    elif name.endswith(".json"):
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            noted.add(f"not valid JSON: {error.msg.lower()}: correct it", line=error.lineno)
        except (RecursionError, ValueError):
            noted.add("nested too deep, or with numbers too long: simplify it")
    elif document := parse(text, noted, scalars=Scalars.TEXT):
        return document.root.value
    return None


def _is_true(value: Any) -> bool:
    return str(value).lower() == "true"


def _settings(file: Path, templates: Templates | None, problems: list[str]) -> Settings:
    noted = Problems(str(file))
    text = read_text(file, noted, limit=MAX_BYTES)
    document = None if text is None else parse(text, noted, scalars=Scalars.AS_WRITTEN)
    settings = validated(Settings, document, noted) if document else None
    if settings and document and templates:
        for path, parameters in _places(settings):
            for name, value in parameters.items():
                if what := templates.problem(name, value):
                    noted.add(what, line=document.find((*path, name))[0], path=(*path, name))
    problems.extend(noted.texts())
    return settings or Settings()


def _places(settings: Settings) -> Iterator[tuple[tuple[str, ...], Mapping[str, str]]]:
    yield ("parameters",), settings.parameters
    for key, overrides in (
        ("channels", settings.overrides.channels),
        ("targets", settings.overrides.targets),
    ):
        for name, parameters in overrides.items():
            yield ("overrides", key, name), parameters


def _given(
    given: Mapping[str, Any], templates: Templates | None, problems: list[str]
) -> Iterator[tuple[str, str]]:
    for name, value in given.items():
        try:
            text = parameter_text(value)
        except ValueError as error:
            what = str(error)
        else:
            what = templates.problem(name, text) if templates else ""
            yield name, text
        if what:
            problems.append(f"parameter {name!r} of this run: {what}")
