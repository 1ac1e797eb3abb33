"""The operations that only read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from sandbox.aws.cloudformation import views
from sandbox.aws.cloudformation.intake import described_parameters, listed, template_text
from sandbox.aws.cloudformation.model import Json, Region, Stack
from sandbox.aws.cloudformation.registry import need_change_set, need_stack
from sandbox.aws.cloudformation.templates import parse_template, required_capabilities
from sandbox.aws.errors import validation_error
from sandbox.aws.pace import Pace
from sandbox.aws.paging import newest_first, page

T = TypeVar("T")
_NO_STACK = "Stack with id {} does not exist"


@dataclass(slots=True)
class Queries:
    """Describe and list; the region's lock is held."""

    pace: Pace

    def describe_stacks(self, region: Region, params: Json) -> Json:
        if params.get("StackName"):
            stack = need_stack(region, params, text=_NO_STACK)
            return {"Stacks": [views.stack_view(stack)]}
        shown, token = self._page(list(region.stacks.values()), params)
        return {"Stacks": [views.stack_view(stack) for stack in shown], "NextToken": token}

    def list_stacks(self, region: Region, params: Json) -> Json:
        wanted = listed(params, "StackStatusFilter")
        stacks = [s for s in region.archive.values() if not wanted or s.status in wanted]
        stacks.sort(key=lambda stack: stack.created, reverse=True)
        shown, token = self._page(stacks, params)
        return {"StackSummaries": [views.stack_summary(s) for s in shown], "NextToken": token}

    def events(self, region: Region, params: Json) -> Json:
        stack = need_stack(region, params)
        shown, token = newest_first(
            stack.events, token=params.get("NextToken"), size=self.pace.page_size
        )
        return {"StackEvents": shown, "NextToken": token}

    def template(self, region: Region, params: Json) -> Json:
        """The text as it was submitted, but for characters beyond ASCII, which AWS loses."""
        if params.get("ChangeSetName"):
            text = need_change_set(region, params)[1].desired.text
        else:
            stack = need_stack(region, params, text=_NO_STACK)
            if stack.desired is None:
                raise validation_error(f"Template for stack {stack.name} does not exist")
            text = stack.desired.text
        text = text.encode("ascii", "replace").decode()
        return {"TemplateBody": text, "StagesAvailable": ["Original", "Processed"]}

    def template_summary(self, region: Region, params: Json) -> Json:
        if params.get("StackName"):
            text = str(self.template(region, {"StackName": params["StackName"]})["TemplateBody"])
        else:
            text = template_text(params, current=None, region=region)
        template = parse_template(text)
        types = sorted({resource["Type"] for resource in template["Resources"].values()})
        return {
            "Parameters": described_parameters(template),
            "Description": template.get("Description"),
            "Capabilities": required_capabilities(template),
            "ResourceTypes": types,
            "Version": template.get("AWSTemplateFormatVersion"),
        }

    def validate(self, region: Region, params: Json) -> Json:
        template = parse_template(template_text(params, current=None, region=region))
        keys = ("ParameterKey", "DefaultValue", "NoEcho", "Description")
        return {
            "Parameters": [{k: p[k] for k in keys} for p in described_parameters(template)],
            "Description": template.get("Description"),
            "Capabilities": required_capabilities(template),
        }

    def describe_resources(self, region: Region, params: Json) -> Json:
        stack = self._stack_of_resources(region, params)
        wanted = params.get("LogicalResourceId")
        resources = [r for r in stack.resources.values() if wanted in (None, r.logical_id)]
        return {"StackResources": [views.resource_view(r, stack=stack) for r in resources]}

    def _stack_of_resources(self, region: Region, params: Json) -> Stack:
        physical = params.get("PhysicalResourceId")
        if params.get("StackName") or not physical:
            return need_stack(region, params)
        for stack in region.stacks.values():
            if any(r.physical_id == physical for r in stack.resources.values()):
                return stack
        raise validation_error(f"Stack for {physical} does not exist")

    def describe_resource(self, region: Region, params: Json) -> Json:
        stack = need_stack(region, params)
        logical_id = str(params.get("LogicalResourceId", ""))
        resource = stack.resources.get(logical_id)
        if resource is None:
            raise validation_error(
                f"Resource {logical_id} does not exist for stack {params.get('StackName')}"
            )
        return {"StackResourceDetail": views.resource_detail(resource, stack=stack)}

    def list_resources(self, region: Region, params: Json) -> Json:
        stack = need_stack(region, params)
        shown, token = self._page(list(stack.resources.values()), params)
        return {
            "StackResourceSummaries": [views.resource_summary(resource) for resource in shown],
            "NextToken": token,
        }

    def exports(self, region: Region, params: Json) -> Json:
        found = [
            {"ExportingStackId": s.arn, "Name": o["ExportName"], "Value": o["OutputValue"]}
            for s in region.stacks.values()
            for o in s.outputs
            if o.get("ExportName")
        ]
        shown, token = self._page(found, params)
        return {"Exports": shown, "NextToken": token}

    def _page(self, items: list[T], params: Json) -> tuple[list[T], str | None]:
        return page(items, token=params.get("NextToken"), size=self.pace.page_size)
