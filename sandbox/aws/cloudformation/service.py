"""CloudFormation's endpoint: dispatches operations, under the lock of their region."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.aws.cloudformation.changesets import ChangeSets
from sandbox.aws.cloudformation.engine import Engine
from sandbox.aws.cloudformation.model import Json, Region
from sandbox.aws.cloudformation.queries import Queries
from sandbox.aws.cloudformation.registry import Registry
from sandbox.aws.cloudformation.stacks import Stacks
from sandbox.aws.errors import AwsError, access_denied
from sandbox.aws.identity import Caller

NAMESPACE = "http://cloudformation.amazonaws.com/doc/2010-05-15/"

Handler = Callable[[Region, Json], Json]


class CloudFormation:
    """The service in every account and region."""

    def __init__(self, *, engine: Engine) -> None:
        self.registry = Registry()
        change_sets, stacks = ChangeSets(engine), Stacks(engine)
        queries = Queries(engine.pace)
        self._writers: dict[str, Handler] = {
            "ContinueUpdateRollback": stacks.continue_rollback,
            "CreateChangeSet": change_sets.create,
            "CreateStack": stacks.create,
            "DeleteChangeSet": change_sets.delete,
            "DeleteStack": stacks.delete,
            "ExecuteChangeSet": change_sets.execute,
            "SetStackPolicy": stacks.set_policy,
            "UpdateStack": stacks.update,
            "UpdateTerminationProtection": stacks.protect,
        }
        self._readers: dict[str, Handler] = {
            "DescribeChangeSet": change_sets.describe,
            "DescribeStackEvents": queries.events,
            "DescribeStackResource": queries.describe_resource,
            "DescribeStackResources": queries.describe_resources,
            "DescribeStacks": queries.describe_stacks,
            "GetStackPolicy": stacks.get_policy,
            "GetTemplate": queries.template,
            "GetTemplateSummary": queries.template_summary,
            "ListChangeSets": change_sets.list,
            "ListExports": queries.exports,
            "ListStackResources": queries.list_resources,
            "ListStacks": queries.list_stacks,
            "ValidateTemplate": queries.validate,
        }

    def call(self, operation: str, params: Json, *, caller: Caller, region: str) -> Json:
        """Perform one operation; raises ``AwsError``.

        The management account has no stacks to change: a call that forgot to assume a role is
        refused instead of doing the right thing in the wrong account.
        """
        if operation in self._writers and caller.is_management:
            name = params.get("StackName", "*")
            resource = f"arn:aws:cloudformation:{region}:{caller.account}:stack/{name}/*"
            raise access_denied(
                caller=caller.arn, action=f"cloudformation:{operation}", resource=resource
            )
        handler = self._writers.get(operation) or self._readers.get(operation)
        if handler is None:
            message = f"Could not find operation {operation} for version 2010-05-15"
            raise AwsError("InvalidAction", message)
        place = self.registry.region(caller.account, region)
        with place.lock:
            return handler(place, params)
