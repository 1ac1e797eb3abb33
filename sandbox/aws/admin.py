"""The administration interface below ``/_sandbox/``, in JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qsl

from sandbox.aws.denials import DENIED_BY_SCP, Denial, Denials
from sandbox.aws.faults import Fault, Faults
from sandbox.aws.identity import MANAGEMENT_ACCOUNT, Identities, RoleTrust
from sandbox.aws.journal import Journal
from sandbox.aws.metrics import key_of, series_of
from sandbox.aws.organizations import Organizations
from sandbox.aws.pace import Pace
from sandbox.aws.permissions import Ban, Permissions
from sandbox.aws.runcommand.hosts import Host, Outcome
from sandbox.aws.runcommand.service import RunCommand
from sandbox.aws.wire import Environ, Reply
from sandbox.aws.workloads import Workload, Workloads

Json = dict[str, Any]
Query = dict[str, str]


@dataclass(slots=True)
class Admin:
    """Reads and sets everything that is no AWS API; ``on_reset`` forgets all AWS state."""

    journal: Journal
    faults: Faults
    denials: Denials
    workloads: Workloads
    identities: Identities
    permissions: Permissions
    organizations: Organizations
    run_command: RunCommand
    pace: Pace
    on_reset: Callable[[], None]

    def __call__(self, environ: Environ) -> Reply:
        name = str(environ["PATH_INFO"]).removeprefix("/_sandbox/").strip("/")
        method = str(environ.get("REQUEST_METHOD", "GET")).lower()
        handler = getattr(self, f"{method}_{name}", None)
        if handler is None or name.startswith("_"):
            return _reply(404, {"error": f"no {method.upper()} {name}"})
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        query = dict(parse_qsl(str(environ.get("QUERY_STRING", ""))))
        try:
            return _reply(200, handler(query, json.loads(body) if body else {}))
        except (KeyError, TypeError, ValueError) as error:
            return _reply(400, {"error": f"{type(error).__name__}: {error}"})

    def get_health(self, _query: Query, _body: Json) -> Json:
        return {"status": "ok", "management_account": MANAGEMENT_ACCOUNT}

    def get_calls(self, query: Query, _body: Json) -> Json:
        after = int(query.pop("after", 0))
        return {"calls": self.journal.calls(after=after, **query)}

    def delete_calls(self, _query: Query, _body: Json) -> Json:
        self.journal.clear()
        return {}

    def get_faults(self, _query: Query, _body: Json) -> Json:
        return {"faults": [asdict(fault) for fault in self.faults.all()]}

    def post_faults(self, _query: Query, body: Json) -> Json:
        return asdict(self.faults.add(Fault(**body)))

    def delete_faults(self, query: Query, _body: Json) -> Json:
        self.faults.remove(query.get("id"))
        return {}

    def get_denials(self, _query: Query, _body: Json) -> Json:
        return {"denials": [asdict(denial) for denial in self.denials.all()]}

    def post_denials(self, _query: Query, body: Json) -> Json:
        account, kind = body["account"], body["resource_type"]
        _, service, noun = kind.lower().split("::", 2)
        reason = DENIED_BY_SCP.format(account=account, action=f"{service}:create{noun}")
        actions = tuple(body.get("actions", ("create", "update")))
        values = {"reason": reason, **body, "actions": actions}
        return asdict(self.denials.add(Denial(**values)))

    def delete_denials(self, query: Query, _body: Json) -> Json:
        self.denials.remove(query.get("id"))
        return {}

    def get_workloads(self, _query: Query, _body: Json) -> Json:
        return {"workloads": [asdict(workload) for workload in self.workloads.all()]}

    def post_workloads(self, _query: Query, body: Json) -> Json:
        workload = Workload(**body)
        self.workloads.add(workload)
        return asdict(workload)

    def delete_workloads(self, _query: Query, _body: Json) -> Json:
        self.workloads.clear()
        return {}

    def post_metrics(self, _query: Query, body: Json) -> Json:
        """Add points to a metric, of any age: ``{"points": [[seconds, value], …], …}``."""
        dimensions = [{"Name": k, "Value": v} for k, v in (body.get("dimensions") or {}).items()]
        key = key_of(body["namespace"], body["metric"], dimensions)
        known = series_of(body["account"], body["region"])
        added = [(float(at), float(value)) for at, value in body["points"]]
        known[key] = sorted([*known.get(key, []), *added])
        return {"points": len(known[key])}

    def get_settings(self, _query: Query, _body: Json) -> Json:
        shown = asdict(self.pace) | {"held": sorted(self.pace.held)}
        return shown | {"session_seconds": self.identities.session_seconds}

    def post_settings(self, query: Query, body: Json) -> Json:
        """Change ``phase``, ``page_size``, ``session_seconds``, ``command_lag``; merge ``slow``
        (null: not).
        """
        unknown = set(body) - {"phase", "page_size", "session_seconds", "slow", "command_lag"}
        if unknown:
            raise ValueError(f"unknown settings {sorted(unknown)}")
        if "session_seconds" in body:
            self.identities.session_seconds = body["session_seconds"]
        self.pace.phase = float(body.get("phase", self.pace.phase))
        self.pace.command_lag = float(body.get("command_lag", self.pace.command_lag))
        self.pace.page_size = int(body.get("page_size", self.pace.page_size))
        merged = {**self.pace.slow, **body.get("slow", {})}
        self.pace.slow = {k: float(v) for k, v in merged.items() if v is not None}
        return self.get_settings(query, {})

    def post_hold(self, _query: Query, body: Json) -> Json:
        """Let operations in an account stand still, or go on: ``{"account": …, "held": true}``."""
        change = self.pace.held.add if body["held"] else self.pace.held.discard
        change(str(body["account"]))
        return {"held": sorted(self.pace.held)}

    def post_roles(self, _query: Query, body: Json) -> Json:
        trusts = body.get("trusts")
        trust = RoleTrust(**{**body, "trusts": None if trusts is None else tuple(trusts)})
        self.identities.trust(trust)
        return asdict(trust)

    def post_regions(self, _query: Query, body: Json) -> Json:
        """Let a region not be enabled in an account."""
        self.identities.disable(str(body["account"]), str(body["disabled"]))
        return {}

    def post_expire(self, _query: Query, body: Json) -> Json:
        """End all sessions in an account."""
        self.identities.expire(str(body["account"]))
        return {}

    def post_bans(self, _query: Query, body: Json) -> Json:
        self.permissions.ban(Ban(**body))
        return {}

    def delete_bans(self, _query: Query, _body: Json) -> Json:
        self.permissions.clear()
        return {}

    def get_hosts(self, _query: Query, _body: Json) -> Json:
        return {"hosts": [asdict(host) for host in self.run_command.hosts.all()]}

    def post_hosts(self, _query: Query, body: Json) -> Json:
        """Register hosts, or change what is told of them."""
        for one in body["hosts"]:
            self.run_command.hosts.put(Host(**one))
        return {}

    def delete_hosts(self, query: Query, _body: Json) -> Json:
        self.run_command.hosts.remove(query["account"], query["region"], query["id"])
        return {}

    def post_outcomes(self, _query: Query, body: Json) -> Json:
        self.run_command.decide(Outcome(**body))
        return {}

    def delete_outcomes(self, _query: Query, _body: Json) -> Json:
        self.run_command.decide(None)
        return {}

    def post_organization(self, _query: Query, body: Json) -> Json:
        """Be the management account of this organization; of none when there are no accounts."""
        self.organizations.become(body or None)
        return {}

    def post_reset(self, _query: Query, _body: Json) -> Json:
        """Forget everything: AWS's state, calls, faults, denials, workloads, settings."""
        self.workloads.clear()
        self.faults.remove()
        self.denials.remove()
        self.identities.reset()
        self.permissions.clear()
        self.organizations.become(None)
        fresh = Pace()
        self.pace.phase, self.pace.slow, self.pace.page_size = fresh.phase, {}, fresh.page_size
        self.pace.command_lag = fresh.command_lag
        self.pace.held.clear()
        self.on_reset()
        self.journal.clear()
        return {}


def _reply(status: int, value: Json) -> Reply:
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode()
