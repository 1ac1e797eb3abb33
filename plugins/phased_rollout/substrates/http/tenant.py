"""One tenant behind an API: how it is read, and how it is asked to change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phased_rollout.config.tenants import TOKEN
from phased_rollout.errors import RefusedError, UnreachableError
from phased_rollout.model.definition import Target
from phased_rollout.model.digest import canonical_json, digest_of
from phased_rollout.model.target_state import Artifact, TargetState
from phased_rollout.pointers import ABSENT, at, placed
from phased_rollout.substrates.http.api import Answer, api
from phased_rollout.substrates.http.content import normalised
from phased_rollout.substrates.http.filling import (
    filled_body,
    filled_path,
    filled_text,
    merge_patch,
)
from phased_rollout.substrates.http.spec import WHOLE, Request, Spec, Standing

Values = Mapping[str, Any]
_TOLD = 120


@dataclass(frozen=True, slots=True)
class Seen:
    """A tenant as it was read.

    :param values: of the fields that have one; None when there is no such tenant
    :param document: the whole answer
    :param said: its own status, as JSON
    """

    values: Values | None
    document: Any = None
    etag: str = ""
    standing: Standing = Standing.GOOD
    said: str = ""

    @property
    def digest(self) -> str | None:
        """Name what it runs; None when it is not there."""
        return None if self.values is None else digest_of_values(self.values)

    @property
    def words(self) -> str:
        """Tell its values and its status."""
        if self.values is None:
            return "is not there"
        told = ", ".join(f"{name} {shortly(v)}" for name, v in sorted(self.values.items()))
        status = f", status {self.said}" if self.said else ""
        return (told or "none of its fields has a value") + status

    def state(self) -> TargetState:
        """Give what the engine wants to know."""
        running = artifact_of(self.values) if self.values is not None else None
        return TargetState(
            running,
            settled=self.standing is not Standing.PENDING,
            healthy=self.standing is not Standing.FAILED,
            detail=self.words,
        )


def digest_of_values(values: Values) -> str:
    """Name values as they are compared."""
    return digest_of({"values": normalised(dict(values))})


def is_same(one: Values, other: Values, name: str) -> bool:
    """Whether a field has the same value in both, or none in both."""
    if name not in one or name not in other:
        return name not in one and name not in other
    return canonical_json(normalised(one[name])) == canonical_json(normalised(other[name]))


def artifact_of(values: Values) -> Artifact:
    """Give values as what a tenant runs."""
    return Artifact(digest_of_values(values), {"values": dict(values)})


def shortly(value: Any) -> str:
    """Tell a value; of a long one its beginning, and its digest, so that two are told apart."""
    text = canonical_json(value)
    return text if len(text) <= _TOLD else f"{text[:_TOLD]}… ({digest_of(value)[:12]})"


class Tenant:
    """A target, by what channels.yaml says of its API."""

    def __init__(self, spec: Spec, target: Target) -> None:
        self._spec = spec
        self._address = dict(target.address)
        self._api = api(spec.connection)
        self.name = target.name

    def __str__(self) -> str:
        return self.name

    def look(self) -> Seen:
        """Read the tenant; raises UnreachableError when it cannot be told how it stands."""
        spec, expect = self._spec, (*self._spec.read.expect, *self._spec.absent)
        answer = self._ask(spec.read, self._address, expect=expect)
        if answer.status in spec.absent:
            return Seen(None)
        try:
            document = answer.document()
        except ValueError as error:
            what = f"{self}: the answer is not JSON: correct path or connection"
            raise UnreachableError(what) from error
        found = {name: at(document, parts) for name, parts in spec.fields.items()}
        # Many an API answers null for what is not set: it is the same as absent.
        values = {name: v for name, v in found.items() if v is not ABSENT and v is not None}
        standing, said = spec.status.read(document) if spec.status else (Standing.GOOD, "")
        if standing is Standing.UNKNOWN:
            raise UnreachableError(
                f"{self}: its status is {said}, of which channels.yaml does not say whether it is "
                "good, pending or failed: add it there"
            )
        return Seen(values, document, answer.etag, standing, said)

    def check(self, values: Values) -> None:
        """Fill all requests, and send none; raises ValueError when that cannot be done."""
        spec, known = self._spec, self._known(values, token="0")  # noqa: S106  # sent nowhere
        filled_path(spec.read.path, self._address)
        for request in (spec.apply, spec.preview):
            if request:
                filled_path(request.path, known)
        if spec.remove:
            filled_path(spec.remove.path, self._address)

    def unsayable(self, before: Values | None, after: Values) -> tuple[list[str], list[str]]:
        """Say what no request can bring back, and what the API has to guess, of a rollback.

        In the same words for all tenants, which are told together.
        """
        if not before and self._spec.remove is not None:
            return [], []
        if before is None:
            return ["it is created, and no `remove` says how a rollback takes it away"], []
        try:
            self.check(before)
        except ValueError as error:
            return [f"what it has now cannot be sent again: {error}"], []
        new = sorted(after.keys() - before.keys())
        if not new or not self._spec.apply.is_templated:
            return [], []
        what = f"a rollback leaves {', '.join(new)} out of its request, which has to remove it"
        return [], [what]

    def send(self, seen: Seen, wanted: Values, *, token: str) -> Answer:
        """Ask the tenant to become what is wanted, unless it was changed since it was seen."""
        return self._send(self._spec.apply, seen, wanted, token=token)

    def rehearse(self, seen: Seen, wanted: Values, *, token: str) -> tuple[str, ...]:
        """Ask what the API says of it, which changes nothing; gives its notes."""
        request, notes = self._spec.preview, self._spec.notes
        if request is None or seen.values is None:
            return ()
        answer = self._send(request, seen, wanted, token=token)
        try:
            found = at(answer.document(), notes) if notes is not None else None
        except ValueError:
            return ()
        listed = found if isinstance(found, list) else [found]
        return tuple(each for each in listed if isinstance(each, str))

    def remove(self, seen: Seen, *, token: str) -> Answer:
        """Ask for what was applied to be taken away."""
        request = self._spec.remove
        if request is None:
            raise RefusedError(
                f"{self} ran nothing before, and channels.yaml describes no `remove`, so it is "
                "left as it is: take away by hand what was applied"
            )
        return self._send(request, seen, {}, token=token)

    def _send(self, request: Request, seen: Seen, wanted: Values, *, token: str) -> Answer:
        known = self._known(wanted, token=token)
        headers = {key: filled_text(text, known) for key, text in request.headers.items()}
        conditions = self._conditions(request, seen)
        try:
            body = self._body(request, seen, wanted, known)
            return self._ask(request, known, body=body, headers=headers | conditions)
        except ValueError as error:
            raise RefusedError(f"{self}: {request.method} {request.path}: {error}") from error

    def _known(self, wanted: Values, *, token: str) -> dict[str, Any]:
        return {**wanted, **self._address, TOKEN: token}

    def _body(self, request: Request, seen: Seen, wanted: Values, known: Values) -> Any:
        if request.is_templated:
            return None if request.body is None else filled_body(request.body, known)
        body: Any = ABSENT
        if request.body == WHOLE and seen.values is not None:
            body = at(seen.document, request.of)
        current = seen.values or {}
        for name, parts in self._spec.fields.items():
            value, place = wanted.get(name, ABSENT), parts[len(request.of) :]
            if request.body == WHOLE:
                body = placed(body, place, value)
            elif value is not ABSENT or name in current:
                patch = merge_patch(current.get(name, ABSENT), value)
                body = placed(body, place, patch)
        return {} if body is ABSENT else body

    def _conditions(self, request: Request, seen: Seen) -> dict[str, str]:
        """Let nothing be changed that is not as it was seen, where the API can see to that."""
        rule = self._spec.if_match
        same = request.path == self._spec.read.path  # a tag is of the resource that was read
        if rule == "never" or (rule == "auto" and not same) or request is self._spec.preview:
            return {}
        if seen.values is None:
            return {"If-None-Match": "*"} if request.method == "PUT" else {}
        weak = seen.etag.startswith("W/")  # never matches (RFC 9110, 13.1.1)
        return {"If-Match": seen.etag} if seen.etag and (rule == "always" or not weak) else {}

    def _ask(
        self,
        request: Request,
        known: Values,
        *,
        expect: tuple[int, ...] = (),
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        return self._api.ask(
            request.method,
            filled_path(request.path, known),
            expect=expect or request.expect,
            busy=request.busy,
            body=body,
            headers=headers,
        )
