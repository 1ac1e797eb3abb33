"""Tenants of the embedded control plane, as the tests of the kind ``http`` hold them in hands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import yaml

from phased_rollout.model.change import Change
from phased_rollout.model.definition import Target
from phased_rollout.model.target_state import Artifact, Outcome, Preview, Progress, TargetState
from phased_rollout.substrates.http import HttpSubstrate
from sandbox.tenants.faults import Fault
from sandbox.tenants.server import SandboxTenants
from tests.contract.drive import APPLY, RESTORE, Guard
from tests.contract.harness import await_so

CONNECTION = "plane"
OPTIONS: dict[str, Any] = {
    "connection": CONNECTION,
    "fields": {"version": "version", "theme": "/settings/theme"},
    "read": {"path": "/v1/tenants/{tenant}", "absent": [404]},
    "apply": {"path": "/v1/tenants/{tenant}"},
    "status": {"at": "status", "good": ["active"], "pending": ["updating"], "failed": ["failed"]},
}
WHOLE = {"method": "PUT", "path": "/v1/tenants/{tenant}"}
REMOVE = {"path": "/v1/tenants/{tenant}", "expect": [204, 404]}


def change_of(**values: Any) -> Change:
    return Change("change", {"tenant.yaml": yaml.safe_dump(values)})


@dataclass(frozen=True)
class OneTenant:
    """A tenant, and the substrate by which it is changed."""

    plane: SandboxTenants
    name: str = "acme"

    @property
    def target(self) -> Target:
        return Target(self.name, {"tenant": self.name})

    def substrate(self, **options: Any) -> HttpSubstrate:
        return HttpSubstrate({**OPTIONS, **options})

    def artifact(self, **values: Any) -> Artifact:
        return self.substrate().render(change_of(**values), channel="c", target=self.target)

    def read(self, **options: Any) -> TargetState:
        return self.substrate(**options).read(self.target)

    def preview(self, options: dict[str, Any] | None = None, /, **values: Any) -> Preview:
        found = self.substrate(**options or {})
        return found.preview(self.target, self.artifact(**values), token=APPLY)

    def step(
        self,
        options: dict[str, Any] | None = None,
        /,
        *,
        token: str = APPLY,
        expected: str | None = None,
        **values: Any,
    ) -> Progress:
        return self.substrate(**options or {}).apply(
            self.target,
            self.artifact(**values),
            token=token,
            mutation=Guard(),
            expected=expected,
        )

    def apply(self, options: dict[str, Any] | None = None, /, **given: Any) -> Progress:
        """Apply until it is done."""
        token = given.get("token", APPLY)
        while (done := self.step(options, **given)).outcome is Outcome.WAITING:
            substrate = self.substrate(**options or {})
            await_so(lambda s=substrate: s.settled(self.target, token=token), what="settled")  # type: ignore[misc]  # bound now
        return done

    def restore(
        self, before: TargetState, options: dict[str, Any] | None = None, /, **applied: Any
    ) -> Progress:
        substrate = self.substrate(**options or {})
        while True:
            done = substrate.restore(
                self.target,
                before=before,
                applied=self.artifact(**applied),
                token=RESTORE,
                mutation=Guard(),
            )
            if done.outcome is not Outcome.WAITING:
                return done
            await_so(lambda: substrate.settled(self.target, token=RESTORE), what="settled")

    @property
    def document(self) -> dict[str, Any]:
        return self.plane.plane.get(self.name).view()

    def by_hand(self, **document: Any) -> None:
        self.plane.plane.touch(self.name, **document)

    def fault(self, kind: str, **fault: Any) -> str:
        return self.plane.faults.add(Fault(kind, **fault)).id

    def calls(self, method: str) -> list[dict[str, Any]]:
        return self.plane.journal.calls(method=method)
