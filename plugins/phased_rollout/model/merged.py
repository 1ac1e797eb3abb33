"""The previews of all targets as one difference that a person reads in a minute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from phased_rollout.model.target_state import Difference, Preview

_NAMES = 3
_LINES = 50


def merge(previews: Mapping[str, Preview]) -> list[str]:
    """Group what is equal, the destructive and the most frequent first.

    ``1 target: REPLACE AWS::S3::Bucket Logs (c)``, ``11 targets: modify AWS::SNS::Topic T (a, b)``.
    """
    targets: dict[tuple[int, str], list[str]] = {}
    for name, preview in previews.items():
        for d in preview.differences:
            targets.setdefault((0 if d.destructive else 2, _words(d)), []).append(name)
        for text in preview.irreversible:
            targets.setdefault((1, text), []).append(name)
        for text in preview.notes:
            targets.setdefault((3, text), []).append(name)
    ordered = sorted(targets.items(), key=lambda item: (item[0][0], -len(item[1])))
    return [f"{of_targets(len(names))}: {text} ({_few(names)})" for (_, text), names in ordered]


def shown(lines: Sequence[str]) -> list[str]:
    """Cut a difference that nobody would read to its end; what is destructive comes first."""
    more = len(lines) - _LINES
    return [*lines[:_LINES], *([f"and {more} more: see the log of preview"] if more > 0 else [])]


def destructive(previews: Mapping[str, Preview]) -> int:
    """Count the destructive differences over all targets."""
    return sum(d.destructive for preview in previews.values() for d in preview.differences)


def of_targets(count: int) -> str:
    """Say how many targets."""
    return f"{count} target{'' if count == 1 else 's'}"


def _words(difference: Difference) -> str:
    action = difference.action.upper() if difference.destructive else difference.action.lower()
    return f"{action} {difference.kind} {difference.resource} {difference.detail}".strip()


def _few(names: list[str]) -> str:
    more = len(names) - _NAMES
    return ", ".join(names[:_NAMES]) + (f" and {more} more" if more > 0 else "")
