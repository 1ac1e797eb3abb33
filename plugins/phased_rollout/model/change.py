"""What is rolled out: immutable, named by its content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from phased_rollout.model.digest import digest_of

Parameters = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """The content of a change folder together with the parameters of the run.

    Precedence of parameters, weakest first: ``parameters``, ``channels``, ``targets``, ``given``.

    :param files: relative path to text, e.g. ``{"template.yaml": "…"}``
    :param given: parameters that the operator passed with the run
    :param provides: interface to the versions of it that others find where this change runs
    :param requires: interface to the condition on its version where those run that it talks to
    """

    name: str
    files: Mapping[str, str]
    description: str = ""
    parameters: Parameters = field(default_factory=dict)
    channels: Mapping[str, Parameters] = field(default_factory=dict)
    targets: Mapping[str, Parameters] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    capabilities: tuple[str, ...] = ()
    given: Parameters = field(default_factory=dict)
    provides: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    requires: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Name the content; the change's name and description are not part of it.

        A change that declares nothing has the digest that it had before changes could.
        """
        provides = {name: sorted(versions) for name, versions in self.provides.items()}
        return digest_of(
            {
                "files": dict(self.files),
                "parameters": dict(self.parameters),
                "channels": {name: dict(values) for name, values in self.channels.items()},
                "targets": {name: dict(values) for name, values in self.targets.items()},
                "tags": dict(self.tags),
                "capabilities": sorted(self.capabilities),
                "given": dict(self.given),
                **({"provides": provides} if provides else {}),
                **({"requires": dict(self.requires)} if self.requires else {}),
            }
        )

    def parameters_for(self, *, channel: str, target: str) -> dict[str, str]:
        """Merge the parameters that hold for one target."""
        return {
            **self.parameters,
            **self.channels.get(channel, {}),
            **self.targets.get(target, {}),
            **self.given,
        }
