"""What a document does on a host: its shell steps, with the parameters in their places."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from sandbox.aws.backends import backend
from sandbox.aws.errors import AwsError

Json = dict[str, Any]
_PLACE = re.compile(r"\{\{\s*([A-Za-z0-9]+)\s*\}\}")
_PUBLIC: dict[str, Json] = {
    "AWS-RunShellScript": {
        "parameters": {
            "commands": {"type": "StringList"},
            "workingDirectory": {"type": "String", "default": ""},
            "executionTimeout": {"type": "String", "default": "3600"},
        },
        "mainSteps": [
            {"action": "aws:runShellScript", "inputs": {"runCommand": ["{{ commands }}"]}}
        ],
    }
}


def is_public(name: str) -> bool:
    """Whether it is a document of AWS's own."""
    return name in _PUBLIC


def find(name: str, version: str, *, account: str, region: str) -> tuple[Json, str]:
    """The content of a document, and its version as a number; raises as SendCommand does."""
    if name in _PUBLIC:
        if version not in ("", "1", "$LATEST", "$DEFAULT"):
            raise _no_version()
        return _PUBLIC[name], "1"
    known = backend("ssm", account=account, region=region)._documents.get(name)
    if known is None:
        raise AwsError("InvalidDocument", "The specified document does not exist.")
    wanted = {"": known.default_version, "$DEFAULT": known.default_version}.get(version, version)
    found = known.versions.get(known.latest_version if wanted == "$LATEST" else wanted)
    if found is None:
        raise _no_version()
    text = found.content
    content: Json = json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)
    return content, str(found.document_version)


def _no_version() -> AwsError:
    message = "The document version is not valid or does not exist."
    return AwsError("InvalidDocumentVersion", message)


def check(content: Json, given: dict[str, list[str]]) -> None:
    """Raise for parameters that the document does not have, or that it misses."""
    declared = content.get("parameters") or {}
    strange = sorted(set(given) - set(declared))
    missing = sorted(k for k, v in declared.items() if "default" not in v and k not in given)
    if strange or missing:
        raise AwsError(
            "InvalidParameters",
            f"Parameters [{', '.join(strange or missing)}] "
            + ("are not defined in the document." if strange else "are required, but missing."),
        )


def script_of(content: Json, given: dict[str, list[str]]) -> str:
    """All shell steps as one script."""
    declared = content.get("parameters") or {}
    values = {k: v["default"] for k, v in declared.items() if "default" in v} | given
    lines: list[str] = []
    for step in content.get("mainSteps") or []:
        for line in step["inputs"]["runCommand"]:
            whole = _PLACE.fullmatch(line)
            if whole and isinstance(values.get(whole[1]), list):
                lines += values[whole[1]]
            else:
                lines.append(_PLACE.sub(lambda m: _text(values.get(m[1], "")), line))
    return "\n".join(lines)


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
