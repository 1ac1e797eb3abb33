"""Checks the certificates of a run against what is on record: finds edits, gaps and forgeries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from phased_rollout.model.certificate import LISTS, Certificate, facts_of, way_to
from phased_rollout.model.digest import digest_of
from phased_rollout.model.kept import Finding, Kept, Record, moment
from phased_rollout.model.late import came_late
from phased_rollout.model.ledger import Kind
from phased_rollout.model.passing import why_not_graduated, why_not_reached

_TAKES_BACK = {
    "rolling_back": "rolled back",
    "rolled_back": "rolled back",
    "withdrawn": "withdrawn",
}


@dataclass(frozen=True, slots=True)
class Stage:
    """A graduation on record.

    :param digest: of its certificate; empty when it has none
    :param since: what took it back; empty when nothing did
    """

    channel: str
    at: str
    digest: str
    since: str = ""


@dataclass(frozen=True, slots=True)
class Verification:
    """What became of the check.

    :param findings: what must not be
    :param remarks: what proves nothing
    :param graduations: in order
    :param head: digest of the newest certificate; empty without any
    :param open: how many records no certificate covers yet
    """

    findings: tuple[Finding, ...]
    remarks: tuple[Finding, ...]
    graduations: tuple[Stage, ...]
    head: str
    open: int


def verify(kept: Kept, *, head: str = "") -> Verification:
    """Compare all certificates of a run with what is on record.

    :param head: digest of a certificate that was noted outside of the record store
    """
    check = _Check(kept)
    findings = list(dict.fromkeys(check.findings(head)))
    certificates = check.certificates
    covered = {path for c in certificates for path in check.covered[c.digest]}
    return Verification(
        findings=tuple(findings),
        remarks=tuple(dict.fromkeys(check.remarks)),
        graduations=tuple(check.stages()),
        head=certificates[-1].digest if certificates else "",
        open=len(kept.records.keys() - covered),
    )


@dataclass
class _Check:
    kept: Kept
    remarks: list[Finding] = field(default_factory=list)

    @cached_property
    def graduated(self) -> list[Record]:
        """Graduations, by the times that they claim."""
        found = (r for r in self.kept.records.values() if r.entry)
        return [r for r in sorted(found, key=_order) if r.entry and r.entry.kind is Kind.GRADUATED]

    @cached_property
    def certificates(self) -> list[Certificate]:
        return [c for r in self.graduated if (c := r.certificate)]

    @cached_property
    def covered(self) -> dict[str, dict[str, str]]:
        """Give what each certificate covers, with those before it: path to digest."""
        return {
            certificate.digest: {
                path: digest
                for each in reversed(way_to(self.certificates, certificate.digest))
                for name in LISTS
                for path, digest in self.kept.lists.get(getattr(each, name), {}).items()
            }
            for certificate in self.certificates
        }

    def findings(self, head: str) -> Iterator[Finding]:
        """Find what must not be; notes remarks on the way."""
        if self.kept.plan is None:
            yield Finding("plan.json", "is damaged: it cannot be read")
        for digest, (use, why) in self.kept.objects.items():
            yield Finding(f"objects/{digest}.json", f"{why} ({use})")
        for record in self.kept.records.values():
            yield from _misnamed(record)
        for record in self.graduated:
            yield from self._carried(record)
            if certificate := record.certificate:
                yield from self._bound(record, certificate)
                yield from self._listed(certificate)
                yield from self._late(record, certificate)
                yield from self._rule(record, certificate)
        if self.kept.plan:
            entries = [r.entry for r in self.kept.records.values() if r.entry]
            yield from (Finding("gap", why) for why in why_not_reached(self.kept.plan, entries))
        if head and head not in [c.digest for c in self.certificates]:
            why = "no graduation on record has it: the chain was made anew, or its end is missing"
            yield Finding(f"head {head}", why)

    def stages(self) -> Iterator[Stage]:
        """Give the graduations, and what took them back."""
        entries = sorted(
            (r.entry for r in self.kept.records.values() if r.entry), key=lambda e: e.at
        )
        for record in self.graduated:
            if record.entry:
                channel, at = record.entry.channel, record.entry.at
                own = [e for e in entries if e.channel == channel]
                entered = [e.at for e in own if e.kind is Kind.ENTERED and e.at < at]
                later = [e for e in own if not entered or e.at > entered[-1]]
                back = [_TAKES_BACK[e.kind] for e in later if e.kind in _TAKES_BACK]
                certificate = record.certificate
                digest = certificate.digest if certificate else ""
                yield Stage(channel, at.isoformat(), digest, back[0] if back else "")

    def _carried(self, record: Record) -> Iterator[Finding]:
        """Every graduation of a run that certifies them has a certificate, of itself."""
        value, certificate = record.value or {}, record.certificate
        if record.value is None:
            return
        if certificate is None:
            before = self.graduated[: self.graduated.index(record)]
            frozen = self.kept.frozen.value or {}
            if frozen.get("certified") or any(each.certificate for each in before):
                why = "has no certificate: forged, or written by an earlier version of the product"
                yield Finding(record.path, why)
            return
        own = {"channel": value.get("channel"), "at": value.get("at"), "facts": facts_of(value)}
        own |= {"rollout": self.kept.rollout, "run": self.kept.run}
        for name, found in own.items():
            if getattr(certificate, name) != found:
                yield Finding(record.path, f"its certificate was made for another {name}")
        if value.get("schema") != self.kept.schema or digest_of(value) != record.digest:
            yield Finding(record.path, "was edited: its bytes are not as they are written")

    def _bound(self, record: Record, certificate: Certificate) -> Iterator[Finding]:
        """The plan and the graduation before are those that the certificate names."""
        if certificate.plan != self.kept.frozen.digest:
            yield Finding("plan.json", "is not the plan that the graduations were made under")
        covered = self.covered[certificate.digest]
        before = [c for r in self.graduated if r.path in covered and (c := r.certificate)]
        known = {c.digest for c in self.certificates}
        if certificate.previous and certificate.previous not in known:
            why = f"the graduation before it ({certificate.previous[:12]}) is missing or was edited"
            yield Finding(record.path, f"gap: {why}")
        elif certificate.previous != (before[-1].digest if before else ""):
            yield Finding(record.path, "names another graduation before it than the one there is")

    def _listed(self, certificate: Certificate) -> Iterator[Finding]:
        """What the certificate lists is there, as it was."""
        for name in LISTS:
            for path, digest in self.kept.lists.get(getattr(certificate, name), {}).items():
                now = self.kept.records.get(path)
                if now is None:
                    yield Finding(path, "is missing: a graduation rests on it")
                elif now.digest != digest:
                    yield Finding(path, "was edited after a graduation that rests on it")

    def _late(self, record: Record, certificate: Certificate) -> Iterator[Finding]:
        """What claims to be older than the certificate is in it, unless it says nothing new."""
        covered = self.covered[certificate.digest]
        if all(self.kept.lists.get(getattr(certificate, name)) is not None for name in LISTS):
            for found, matters in came_late(self.kept, record, covered):
                if matters:
                    yield found
                else:
                    self.remarks.append(found)

    def _rule(self, record: Record, certificate: Certificate) -> Iterator[Finding]:
        """What the certificate covers lets the channel graduate."""
        if self.kept.plan:
            covered = (self.kept.records.get(path) for path in self.covered[certificate.digest])
            entries = [each.entry for each in covered if each and each.entry]
            for why in why_not_graduated(self.kept.plan, entries, channel=certificate.channel):
                yield Finding(record.path, f"forged: {why}")


def _misnamed(record: Record) -> Iterator[Finding]:
    """What a record says of itself agrees with its name."""
    if record.value is None:
        yield Finding(record.path, "is damaged: it cannot be read")
    elif record.entry:
        value, entry = record.value, record.entry
        said = (moment(value.get("at")), *(value.get(k) for k in ("kind", "channel", "target")))
        if said != (entry.at, entry.kind, entry.channel, entry.target):
            yield Finding(record.path, "was renamed or edited: its name says something else")


def _order(record: Record) -> str:
    return record.path.rpartition("/")[2]
