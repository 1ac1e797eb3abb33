"""What CloudFormation knows of resource types: what forces a replacement, where tags go.

The names come from ``createOnlyProperties`` and ``conditionalCreateOnlyProperties`` of the
public resource schemas (https://schema.cloudformation.us-east-1.amazonaws.com/).
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache
from typing import Any

from sandbox.aws.cloudformation.model import STACK_TYPE

# The moto modules that implement a service whose name differs from the one in the type.
_MODULES = {
    "Lambda": "awslambda",
    "ElasticLoadBalancing": "elb",
    "ElasticLoadBalancingV2": "elbv2",
    "StepFunctions": "stepfunctions",
}
HANDLE_TYPE = "AWS::CloudFormation::WaitConditionHandle"


@dataclass(frozen=True, slots=True)
class ResourceKind:
    """``always`` and ``sometimes`` name the properties whose change replaces the resource."""

    always: str = ""
    sometimes: str = ""
    tags: str = "Tags"
    tags_are_a_map: bool = False

    def recreation(self, name: str) -> str:
        """CloudFormation's ``RequiresRecreation`` for a property."""
        if name in self.always.split():
            return "Always"
        return "Conditionally" if name in self.sometimes.split() else "Never"


@cache
def kind_of(resource_type: str) -> ResourceKind:
    """The kind of a type; of one that is not listed, only a change of name replaces it."""
    if resource_type in _KINDS:
        return _KINDS[resource_type]
    model = model_of(resource_type)
    name = model.cloudformation_name_type() if model is not None else ""
    return ResourceKind(always=name or "")


@cache
def model_of(resource_type: str) -> Any:
    """Moto's class for a type, or None for a type that it cannot create."""
    service = resource_type.split("::")[1] if resource_type.count("::") > 1 else ""
    try:
        importlib.import_module(f"moto.{_MODULES.get(service, service.lower())}.models")
    except ImportError:
        return None
    from moto.core.common_models import CloudFormationModel  # noqa: PLC0415 costs a second

    models = CloudFormationModel.__subclasses__()
    return next((m for m in models if m.cloudformation_type() == resource_type), None)


def is_supported(resource_type: str) -> bool:
    """Whether this CloudFormation can create resources of a type."""
    return resource_type in (HANDLE_TYPE, STACK_TYPE) or model_of(resource_type) is not None


_KINDS = {
    HANDLE_TYPE: ResourceKind(tags=""),
    STACK_TYPE: ResourceKind(),
    "AWS::AutoScaling::AutoScalingGroup": ResourceKind(
        always="AutoScalingGroupName InstanceId",
        sometimes=("LaunchConfigurationName LaunchTemplate MixedInstancesPolicy VPCZoneIdentifier"),
    ),
    "AWS::CloudWatch::Dashboard": ResourceKind(always="DashboardName"),
    "AWS::DynamoDB::Table": ResourceKind(
        always="ImportSourceSpecification TableName", sometimes="KeySchema"
    ),
    "AWS::EC2::EIP": ResourceKind(always="Address IpamPoolId NetworkBorderGroup TransferAddress"),
    "AWS::EC2::FlowLog": ResourceKind(
        always=(
            "DeliverCrossAccountRole DeliverLogsPermissionArn "
            "DestinationOptions LogDestination LogDestinationType "
            "LogFormat LogGroupName MaxAggregationInterval ResourceId "
            "ResourceType TagFieldSpecifications TrafficType"
        )
    ),
    "AWS::EC2::Instance": ResourceKind(
        always=(
            "AvailabilityZone CpuOptions ElasticGpuSpecifications "
            "ElasticInferenceAccelerators EnclaveOptions "
            "HibernationOptions HostResourceGroupArn ImageId "
            "Ipv6AddressCount Ipv6Addresses KeyName LaunchTemplate "
            "LicenseSpecifications NetworkInterfaces PlacementGroupName "
            "PrivateIpAddress SecurityGroups SubnetId"
        ),
        sometimes=(
            "AdditionalInfo Affinity BlockDeviceMappings EbsOptimized "
            "HostId InstanceType KernelId PrivateDnsNameOptions RamdiskId "
            "SecurityGroupIds Tenancy UserData"
        ),
    ),
    "AWS::EC2::InternetGateway": ResourceKind(),
    "AWS::EC2::LaunchTemplate": ResourceKind(always="LaunchTemplateName", tags=""),
    "AWS::EC2::NatGateway": ResourceKind(
        always=("AllocationId AvailabilityMode ConnectivityType PrivateIpAddress SubnetId VpcId")
    ),
    "AWS::EC2::Route": ResourceKind(
        always=(
            "DestinationCidrBlock DestinationIpv6CidrBlock DestinationPrefixListId RouteTableId"
        ),
        tags="",
    ),
    "AWS::EC2::RouteTable": ResourceKind(always="VpcId"),
    "AWS::EC2::SecurityGroup": ResourceKind(always="GroupDescription GroupName VpcId"),
    "AWS::EC2::SecurityGroupIngress": ResourceKind(
        always=(
            "CidrIp CidrIpv6 FromPort GroupId GroupName IpProtocol "
            "SourcePrefixListId SourceSecurityGroupId "
            "SourceSecurityGroupName SourceSecurityGroupOwnerId ToPort"
        ),
        tags="",
    ),
    "AWS::EC2::Subnet": ResourceKind(
        always=(
            "AvailabilityZone AvailabilityZoneId CidrBlock Ipv4IpamPoolId "
            "Ipv4NetmaskLength Ipv6IpamPoolId Ipv6Native "
            "Ipv6NetmaskLength OutpostArn VpcId"
        ),
        sometimes="Ipv6CidrBlock",
    ),
    "AWS::EC2::SubnetRouteTableAssociation": ResourceKind(always="RouteTableId SubnetId", tags=""),
    "AWS::EC2::VPC": ResourceKind(
        always=("CidrBlock Ipv4IpamPoolId Ipv4NetmaskLength VpcEncryptionControl"),
        sometimes="InstanceTenancy",
    ),
    "AWS::EC2::VPCEndpoint": ResourceKind(
        always=(
            "ResourceConfigurationArn ServiceName ServiceNetworkArn "
            "ServiceRegion VpcEndpointType VpcId"
        ),
        sometimes="DnsOptions",
    ),
    "AWS::EC2::VPCGatewayAttachment": ResourceKind(always="VpcId", tags=""),
    "AWS::EC2::Volume": ResourceKind(),
    "AWS::ECR::Repository": ResourceKind(always="EncryptionConfiguration RepositoryName"),
    "AWS::ECS::Cluster": ResourceKind(always="ClusterName"),
    "AWS::ECS::Service": ResourceKind(
        always="Cluster Role SchedulingStrategy ServiceName", sometimes="LaunchType"
    ),
    "AWS::EFS::FileSystem": ResourceKind(
        always="AvailabilityZoneName Encrypted KmsKeyId PerformanceMode", tags="FileSystemTags"
    ),
    "AWS::Events::EventBus": ResourceKind(always="Name"),
    "AWS::Events::Rule": ResourceKind(always="Name", sometimes="EventBusName"),
    "AWS::IAM::InstanceProfile": ResourceKind(always="InstanceProfileName Path", tags=""),
    "AWS::IAM::ManagedPolicy": ResourceKind(always="Description ManagedPolicyName Path", tags=""),
    "AWS::IAM::Policy": ResourceKind(tags=""),
    "AWS::IAM::Role": ResourceKind(always="Path RoleName"),
    "AWS::IAM::User": ResourceKind(always="UserName"),
    "AWS::KMS::Alias": ResourceKind(always="AliasName", tags=""),
    "AWS::KMS::Key": ResourceKind(),
    "AWS::Kinesis::Stream": ResourceKind(always="Name"),
    "AWS::Lambda::Function": ResourceKind(
        always="FunctionName PackageType TenancyConfig", sometimes="DurableConfig"
    ),
    "AWS::Lambda::Permission": ResourceKind(
        always=(
            "Action EventSourceToken FunctionName FunctionUrlAuthType "
            "InvokedViaFunctionUrl Principal PrincipalOrgID SourceAccount "
            "SourceArn"
        ),
        tags="",
    ),
    "AWS::Lambda::Version": ResourceKind(
        always=("CodeSha256 Description FunctionName ProvisionedConcurrencyConfig RuntimePolicy"),
        tags="",
    ),
    "AWS::Logs::LogGroup": ResourceKind(always="LogGroupName"),
    "AWS::Logs::ResourcePolicy": ResourceKind(always="PolicyName", tags=""),
    "AWS::Route53::HostedZone": ResourceKind(always="DelegationSetId Name", tags="HostedZoneTags"),
    "AWS::Route53::RecordSet": ResourceKind(always="HostedZoneId HostedZoneName", tags=""),
    "AWS::S3::Bucket": ResourceKind(always="BucketName BucketNamePrefix BucketNamespace"),
    "AWS::SNS::Topic": ResourceKind(always="FifoTopic TopicName"),
    "AWS::SQS::Queue": ResourceKind(always="FifoQueue QueueName"),
    "AWS::SSM::Document": ResourceKind(
        always="DocumentType Name",
        sometimes=("Attachments Content DocumentFormat Requires TargetType VersionName"),
    ),
    "AWS::SSM::Parameter": ResourceKind(always="Name", tags_are_a_map=True),
    "AWS::StepFunctions::StateMachine": ResourceKind(always="StateMachineName StateMachineType"),
}
