"""CloudWatch alarms of a target's account, chosen by the start of their names or by a tag."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from phased_rollout.aws import Access, AccountHook, account
from phased_rollout.aws_errors import RefusedByAwsError
from phased_rollout.errors import ConfigError, UnreachableError
from phased_rollout.model.definition import Target
from phased_rollout.model.target_state import Health, Observation

_HEALTH = {"OK": Health.OK, "ALARM": Health.HARM}
_NAMES_A_CALL = 100


class CloudWatchAlarms:
    """Metric and composite alarms: one in ALARM is harm, one without data is unknown.

    :param options: ``connection``, ``prefix`` or ``tag`` (``key=value`` or a mapping of one), and
        optionally ``role``, ``external_id``, ``via``, ``region``
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._prefix = str(options.get("prefix") or "")
        self._tag = _tag(options.get("tag"))
        if bool(self._prefix) == any(self._tag):
            raise ConfigError(
                [
                    "cloudwatch_alarms: give either `prefix` (the start of the alarms' names) "
                    "or `tag` (key=value)"
                ]
            )

    def observe(self, target: Target) -> Sequence[Observation]:
        """Give one observation for each alarm; when none matches, one that says so."""
        hook = account(Access.of(self._options, target.address))
        try:
            found = [_observation(target, alarm) for alarm in self._alarms(hook)]
        except RefusedByAwsError as error:  # it refused to tell; that is no word about the target
            raise UnreachableError(str(error)) from error
        if found:
            return found
        chosen = f"prefix {self._prefix!r}" if self._prefix else f"tag {'='.join(self._tag)!r}"
        return [
            Observation(
                target=target.name,
                signal="cloudwatch_alarms",
                health=Health.UNKNOWN,
                detail=f"{hook.access} has no alarm with {chosen}",
            )
        ]

    def _alarms(self, hook: AccountHook) -> Iterator[Mapping[str, Any]]:
        if self._prefix:
            yield from _described(hook, AlarmNamePrefix=self._prefix)
            return
        names = list(self._tagged(hook))
        for start in range(0, len(names), _NAMES_A_CALL):
            yield from _described(hook, AlarmNames=names[start : start + _NAMES_A_CALL])

    def _tagged(self, hook: AccountHook) -> Iterator[str]:
        key, value = self._tag
        arguments: dict[str, Any] = {
            "TagFilters": [{"Key": key, "Values": [value]}],
            "ResourceTypeFilters": ["cloudwatch:alarm"],
        }
        while True:
            reply = hook.call("get_resources", service="resourcegroupstaggingapi", **arguments)
            for found in reply["ResourceTagMappingList"]:
                yield found["ResourceARN"].partition(":alarm:")[2]
            if not reply.get("PaginationToken"):
                return
            arguments["PaginationToken"] = reply["PaginationToken"]


def _tag(given: Any) -> tuple[str, str]:
    if isinstance(given, Mapping) and len(given) == 1:
        ((key, value),) = given.items()
        return str(key), str(value)
    key, _, value = str(given or "").partition("=")
    return (key, value) if key and value else ("", "")


def _described(hook: AccountHook, **chosen: Any) -> Iterator[Mapping[str, Any]]:
    arguments: dict[str, Any] = {"AlarmTypes": ["MetricAlarm", "CompositeAlarm"], **chosen}
    while True:
        reply = hook.call("describe_alarms", service="cloudwatch", **arguments)
        yield from reply.get("MetricAlarms", [])
        yield from reply.get("CompositeAlarms", [])
        if not reply.get("NextToken"):
            return
        arguments["NextToken"] = reply["NextToken"]


def _observation(target: Target, alarm: Mapping[str, Any]) -> Observation:
    state = alarm["StateValue"]
    reason = alarm.get("StateReason") or ""
    return Observation(
        target=target.name,
        signal=f"alarm {alarm['AlarmName']}",
        health=_HEALTH.get(state, Health.UNKNOWN),
        detail=f"{state}: {reason}" if reason else state,
    )
