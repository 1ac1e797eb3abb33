"""The fields of the form that triggers a rollout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.sdk import Param

from phased_rollout.changes import templates_of
from phased_rollout.config.source import is_remote, path_of
from phased_rollout.model.bypass import BypassTier
from phased_rollout.model.definition import Definition

WHAT, BYPASS = "What to roll out", "Bypass (for emergencies)"
"""Sections of the trigger form."""
TIERS = {
    BypassTier.NONE.value: "Nothing: every channel, every soak",
    BypassTier.SHORTEN_SOAK.value: "Shorten the soaks",
    BypassTier.SKIP_CHANNELS.value: "Skip channels",
    BypassTier.FLEET_WIDE.value: "All soaks and gates: as fast as can be",
}
NO_TEXT: dict[str, Any] = {"not": {"type": "string"}}


def run_params(definition: Definition, *, base: str, emergency: bool) -> dict[str, Param]:
    """Give the fields of the trigger form; one that may be left empty must allow null there.

    ``description`` shows as it is, ``description_md`` would be Markdown.
    """
    names = [c.name for c in definition.channels]
    usual = definition.change or "none is configured, so name one"
    return {
        "change": Param(
            None,
            type=["null", "string"],
            title="Change",
            section=WHAT,
            description="A folder, seen from that of channels.yaml, or a URL that names its "
            f"connection, such as s3://connection@bucket/prefix. Left empty: {usual}",
            examples=_changes(definition, base=Path(base)) or ["changes/name"],
        ),
        **_policy(definition),
        # Airflow 3.3.2 shows an editor for an object that rewrites half-typed JSON and then sends
        # it. With two types it shows a plain text field; text that is no JSON is refused at once.
        "parameters": Param(
            {},
            type=["object", "string"],
            additionalProperties={
                "type": ["string", "number", "boolean", "array"],
                "items": {"type": ["string", "number", "boolean"]},
            },
            **NO_TEXT,
            title="Parameters",
            section=WHAT,
            description="Template parameters of this run; they win over the change's own. {} gives "
            'none; else replace all of it, e.g. by {"LogRetentionDays": 90}',
        ),
        "bypass": Param(
            (BypassTier.SHORTEN_SOAK if emergency else BypassTier.NONE).value,
            type="string",
            enum=[tier.value for tier in BypassTier],
            values_display=TIERS,
            title="Leave out",
            section=BYPASS,
            description="A bypass is recorded, and owed until the change was rolled out in full. "
            "But for shorter soaks, somebody else must authorize it before the first target is "
            "touched. The rollback is never bypassed.",
        ),
        "bypass_channels": Param(
            [],
            type=["null", "array"],
            items={"type": "string", "enum": names},
            examples=names,
            title="Channels to skip",
            section=BYPASS,
            description="Needs 'Skip channels' above; at least one channel must stay.",
        ),
        "bypass_reason": Param(
            "",
            type=["null", "string"],
            maxLength=2000,
            title="Reason",
            section=BYPASS,
            description="Required for a bypass. Recorded, and shown to whoever authorizes.",
        ),
    }


def _policy(definition: Definition) -> dict[str, Param]:
    """Let a run choose among the policies that the file allows."""
    if len(definition.policies) <= 1:
        return {}
    chosen = Param(
        definition.policy,
        type="string",
        enum=list(definition.policies),
        title="Policy",
        section=WHAT,
        description="How fast the change moves, and what lets it go on: soak, gate and waves of "
        "each channel. It changes no approval.",
    )
    return {"policy": chosen}


def _changes(definition: Definition, *, base: Path) -> list[str]:
    """Name the changes to offer: those that lie beside the configured one."""
    usual = path_of(definition.change or "changes/name")
    beside = (base / ("changes/name" if is_remote(usual) else usual)).parent
    wanted = templates_of(definition)
    pattern = "*" if wanted is None else (*wanted, "template.*")[0]
    found = {file.parent for file in beside.glob(f"*/{pattern}") if file.is_file()}
    return sorted(str(f.relative_to(base) if f.is_relative_to(base) else f) for f in found)[:100]
