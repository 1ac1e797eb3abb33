"""The command that a change is: read from command.yaml, named by its content."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phased_rollout.config.document import parse
from phased_rollout.config.explain import validated
from phased_rollout.config.fleets import ChangeCommand
from phased_rollout.config.nodes import Scalars
from phased_rollout.config.problems import Problems
from phased_rollout.errors import ChangeError
from phased_rollout.model.change import Change
from phased_rollout.model.digest import canonical_json, digest_of
from phased_rollout.model.target_state import Artifact

FILE = "command.yaml"
MARK = "{rollout.digest}"
"""Stands in a parameter for the digest that hosts report afterwards."""

MAX_PACKED = 8192
"""Characters of a parameter of the Parameter Store, where commands are kept."""

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Command:
    """A document in one version, with its parameters."""

    document: str
    version: str
    parameters: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, body: Json) -> Command:
        """Read what ``asdict`` of one, or a setting, gave."""
        return cls(body["document"], body["version"], body["parameters"])

    def marked(self, digest: str) -> Command:
        """Put the digest where it shall stand."""
        filled = {
            key: [value.replace(MARK, digest) for value in values]
            for key, values in self.parameters.items()
        }
        return Command(self.document, self.version, filled)

    def as_json(self) -> dict[str, Any]:
        """Give it as JSON values."""
        return {
            "document": self.document,
            "version": self.version,
            "parameters": {key: list(values) for key, values in self.parameters.items()},
        }

    def __str__(self) -> str:
        return f"{self.document} version {self.version}"


def render(change: Change) -> Artifact:
    """Give the command of a change; raises ChangeError with all that is wrong."""
    problems = list(_misfits(change))
    given = _settings(change.files.get(FILE, ""), problems) if FILE in change.files else None
    if given and not problems:
        command = Command.of(given.model_dump())
        found = Artifact(
            digest_of(command.as_json()),
            {"command": command.as_json(), "remove": given.remove and given.remove.model_dump()},
        )
        if not any(MARK in value for values in command.parameters.values() for value in values):
            problems.append(
                f"{FILE}: no parameter holds {MARK}, so no host could tell that it runs this: let "
                "the document write it to where the command of `reports` reads it"
            )
        elif (size := len(pack(found.body["command"]))) > MAX_PACKED:
            problems.append(
                f"{FILE}: {size:,} characters, packed, and the Parameter Store keeps at most "
                f"{MAX_PACKED:,}: put the steps into a document of your own"
            )
    if problems or not given:
        raise ChangeError("\n".join(f"change {change.name!r}: {each}" for each in problems))
    return found


def _misfits(change: Change) -> list[str]:
    problems = []
    if change.parameters or change.channels or change.targets or change.given:
        problems.append(f"commands take no parameters but those of {FILE}: write them there")
    if change.tags or change.capabilities:
        problems.append("commands have no tags and no capabilities: remove them from change.yaml")
    if FILE not in change.files:
        problems.append(f"found no {FILE}: write document, version and parameters into it")
    strange = sorted(set(change.files) - {FILE})
    return problems + [f"{name}: unknown file: only {FILE} is read, remove it" for name in strange]


def _settings(text: str, problems: list[str]) -> ChangeCommand | None:
    noted = Problems(FILE)
    document = parse(text, noted, scalars=Scalars.AS_WRITTEN)
    found = validated(ChangeCommand, document, noted) if document else None
    problems.extend(noted.texts())
    return found


def pack(value: Any) -> str:
    """Write JSON values as one word, the same always the same.

    The Parameter Store refuses what looks like a reference of its own, which outputs may hold.
    """
    return base64.b64encode(gzip.compress(canonical_json(value).encode(), mtime=0)).decode()


def unpack(text: str) -> Any:
    """Read what ``pack`` wrote; raises ValueError or OSError."""
    return json.loads(gzip.decompress(base64.b64decode(text, validate=True)))
