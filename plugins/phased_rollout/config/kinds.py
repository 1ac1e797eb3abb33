"""What each built-in kind of substrate and signal wants to be told; others come by entry points."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from phased_rollout.adapters import BUILT_IN, SIGNALS, SUBSTRATES, installed
from phased_rollout.config.fields import Day, Maybe, Strict, TargetName, Text, Traits
from phased_rollout.config.problems import did_you_mean
from phased_rollout.config.rules import WRITTEN, Filled, Matching

OTHER = "kind=other"

AccountId = Annotated[str, Matching(r"\d{12}", "is no account id: write its 12 digits in quotes")]
Region = Annotated[
    str,
    Matching(r"[a-z]{2,4}(-[a-z]+){1,3}-\d{1,2}", "is no region: write one such as eu-central-1"),
]


def _distinct(regions: list[str]) -> list[str]:
    if twice := sorted({region for region in regions if regions.count(region) > 1}):
        raise ValueError(f"{', '.join(twice)} is there twice: remove one of the two")
    return regions


Regions = Annotated[
    list[Region],
    AfterValidator(_distinct),
    Field(json_schema_extra={"uniqueItems": True}),
    Filled("name at least one region"),
]
StackName = Annotated[
    str,
    Matching(
        r"[A-Za-z][A-Za-z0-9-]{0,127}",
        "is no stack name: begin with a letter; letters, digits and '-', at most 128",
    ),
]
Role = Annotated[
    str,
    Matching(
        r"(arn:aws[a-z-]*:iam::(\d{12}|\{account\}):role/)?([\w+=,.@{}-]+/)*[\w+=,.@{}-]{1,80}",
        "is no IAM role: write its name, such as phased-rollout, or its ARN",
    ),
]
TemplateFile = Annotated[
    str,
    Matching(
        r"(?!change\.)[A-Za-z0-9_][\w.-]{0,99}\.(yaml|yml|json)",
        "is no template's file name: write one such as network.yaml, of a file in the change's "
        "folder",
    ),
]
Bucket = Annotated[
    str,
    Matching(
        r"([a-z0-9.-]|\{account\}|\{region\}){3,63}",
        "is no bucket name: write small letters, digits, '.' and '-', {account} and {region}",
    ),
]
Capability = Literal["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
ConnectionId = Annotated[
    str,
    Matching(r"[\w#!()\-.:/\\]{1,250}", "is no connection id of Airflow: correct it"),
]
ExternalId = Annotated[
    str,
    Matching(r"[\w+=,.@:/-]{2,1224}", "is no external id: 2 to 1224 letters, digits and +=,.@:/-_"),
]
RoleArn = Annotated[
    str,
    Matching(
        r"arn:aws[a-z-]*:iam::\d{12}:role/([\w+=,.@-]+/)*[\w+=,.@-]{1,64}",
        "is no role's ARN: write one such as arn:aws:iam::111122223333:role/hub",
    ),
]

RuleId = Annotated[
    str,
    Matching(
        r"[EW]\d{1,4}",
        "is no rule of cfn-lint: write one such as E3002, or E30 for all that begin so",
    ),
]


def known_in(group: str) -> AfterValidator:
    """Accept the kinds of an entry point group that are installed."""

    def check(kind: str) -> str:
        # The entry points are asked only for a stranger: reading them takes 40 ms.
        if kind not in BUILT_IN[group]:
            known = [*BUILT_IN[group], *installed(group)]
            if kind not in known:
                close = did_you_mean(kind, known) or f": known are {', '.join(known)}"
                raise ValueError(f"{WRITTEN} is no kind that is installed{close}")
        return kind

    return AfterValidator(check)


SubstrateKind = Annotated[str, known_in(SUBSTRATES)]
SignalKind = Annotated[str, known_in(SIGNALS)]


def shape_of(group: str) -> Callable[[Any], str]:
    """Choose by ``kind`` which model judges a mapping; a misspelt kind gets the one it meant."""

    def choose(raw: Any) -> str:
        kind = raw.get("kind") if isinstance(raw, dict) else getattr(raw, "kind", None)
        known = BUILT_IN[group]
        close = get_close_matches(kind, known, n=1) if isinstance(kind, str) else []
        meant = close and (close[0] == kind or kind not in installed(group))
        return f"kind={close[0]}" if meant else OTHER

    return choose


class Hop(Strict):
    """A role that is assumed on the way to the targets' roles.

    :param role: its ARN, for it is in an account of its own
    :param external_id: if its trust policy demands one
    """

    role: RoleArn
    external_id: Maybe[ExternalId] = None


class Other(BaseModel):
    """An adapter of another package: it judges its options itself."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)

    def options(self) -> dict[str, Any]:
        """Give everything but the kind."""
        return dict(self.model_extra or {})


class OtherSubstrate(Other):
    """A substrate of another package."""

    kind: SubstrateKind


class OtherSignal(Other):
    """A health signal of another package."""

    kind: SignalKind


class HoldSettings(Strict):
    """Quarantine of a target: why, and the last day."""

    reason: Text
    until: Day


class OtherTarget(BaseModel):
    """A target of another package's substrate: every other key is part of its address."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    __pydantic_extra__: dict[str, str]

    name: TargetName
    hold: Maybe[HoldSettings] = None
    traits: Maybe[Traits] = None

    def address(self) -> dict[str, str]:
        """Give everything else."""
        return dict(self.__pydantic_extra__)


class OneOfStacks(Strict):
    """One of several stacks of a target.

    :param template: file in the change's folder
    :param service_role: and capabilities: of this stack, in place of and besides the substrate's
    """

    name: StackName
    template: TemplateFile
    service_role: Maybe[Role] = None
    capabilities: Maybe[list[Capability]] = None


class LintSettings(Strict):
    """What cfn-lint finds and is not heeded."""

    ignore: Annotated[list[RuleId], Filled("name the rules, or remove the key")]


class CloudFormation(Strict):
    """One stack in every account, or several in order.

    :param connection: Airflow connection that may assume the role
    :param role: role to assume in each target's account: its name, or an ARN with ``{account}``
    :param stacks: applied in this order and restored in the reverse one; in place of ``stack``
    :param region: of every target that names none; or regions, and it is in each of them
    :param bucket: in each account, for templates that are too long for a request
    :param service_role: role that CloudFormation itself uses
    :param capabilities: granted to every change, besides those that it asks for
    :param via: roles to assume before the role, in this order
    :param lint: of the templates, before anything is asked
    """

    kind: SubstrateKind
    connection: ConnectionId
    role: Role
    stack: Maybe[StackName] = None
    stacks: Maybe[Annotated[list[OneOfStacks], Filled("name at least one stack")]] = None
    region: Maybe[Region] = None
    regions: Maybe[Regions] = None
    external_id: Maybe[ExternalId] = None
    bucket: Maybe[Bucket] = None
    service_role: Maybe[Role] = None
    capabilities: Maybe[list[Capability]] = None
    via: Maybe[list[Hop]] = None
    lint: Maybe[LintSettings] = None

    def options(self) -> dict[str, Any]:
        """Give what was set, but for the regions: each target has its own."""
        return self.model_dump(exclude={"kind", "regions"}, exclude_none=True)


class AccountTarget(Strict):
    """An AWS account in one region, or one in each of several."""

    name: TargetName
    account: AccountId
    region: Maybe[Region] = None
    regions: Maybe[Regions] = None
    hold: Maybe[HoldSettings] = None
    traits: Maybe[Traits] = None


class CloudWatchAlarms(Strict):
    """The alarms in the target's region whose name begins with a prefix, or that carry a tag.

    :param tag: one key with its value
    :param connection: and role, external_id, via: those of the substrate unless set
    """

    kind: SignalKind
    prefix: Maybe[Text] = None
    tag: Maybe[dict[Text, Text]] = None
    connection: Maybe[ConnectionId] = None
    role: Maybe[Role] = None
    external_id: Maybe[ExternalId] = None
    via: Maybe[list[Hop]] = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if bool(self.prefix) == bool(self.tag) or len(self.tag or ()) > 1:
            raise ValueError("say which alarms: set either prefix, or tag with one key")
        return self

    def options(self) -> dict[str, Any]:
        """Give what was set."""
        return self.model_dump(exclude={"kind"}, exclude_none=True)
