"""What the templates of a change declare, and which parameters they will have."""

from __future__ import annotations

import re
from dataclasses import dataclass

from phased_rollout.config.problems import did_you_mean

REFERENCE = re.compile(r"\{\{resolve:(ssm|ssm-secure|secretsmanager):[^{}]+\}\}")
"""A dynamic reference, which stands for a value that is kept elsewhere."""


@dataclass(frozen=True, slots=True)
class Template:
    """What a template declares: its parameters, and which of them are NoEcho."""

    file: str
    text: str
    declared: frozenset[str]
    hidden: frozenset[str]


@dataclass(frozen=True, slots=True)
class Templates:
    """All templates of a change.

    :param any_content: they are files that only the substrate can judge
    """

    all: tuple[Template, ...]
    any_content: bool = False

    def problem(self, name: str, value: str) -> str:
        """Say why they will not have this parameter; nothing if they do. Never names the value."""
        if self.any_content:
            return ""
        declaring = [template for template in self.all if name in template.declared]
        if not declaring:
            one = len(self.all) == 1
            what = "the template has no such" if one else "no template has such a"
            names = {known for template in self.all for known in template.declared}
            return f"{what} parameter{did_you_mean(name, names) or self._declared()}"
        if any(name in t.hidden for t in declaring) and not REFERENCE.fullmatch(value):
            return (
                "the template says NoEcho, and a value written here would be kept in the records: "
                "write a dynamic reference, such as {{resolve:secretsmanager:…}}"
            )
        return ""

    def _declared(self) -> str:
        each = {t.file: ", ".join(sorted(t.declared)) or "none" for t in self.all}
        if len(each) == 1:
            return f": it declares {next(iter(each.values()))}"
        return ": " + "; ".join(f"{file} declares {names}" for file, names in each.items())
