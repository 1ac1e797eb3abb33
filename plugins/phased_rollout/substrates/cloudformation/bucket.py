"""Templates that are too long for a request go through a bucket of the target's own account."""

from __future__ import annotations

from hashlib import sha256

from phased_rollout.aws import AccountHook
from phased_rollout.aws_errors import RefusedByAwsError
from phased_rollout.errors import UnreachableError

PREFIX = "phased-rollout/"


def keep(hook: AccountHook, bucket: str, text: str) -> str:
    """Put a template into the account's bucket and give its TemplateURL; harmless to repeat.

    The key names the content. Written anew each time, so that what CloudFormation reads next is
    what was meant, whoever else can write there; never into the bucket of another account.
    """
    access, content = hook.access, text.encode()
    name = bucket.replace("{account}", access.account).replace("{region}", access.region)
    key = PREFIX + sha256(content).hexdigest()
    try:
        hook.call(
            "put_object",
            service="s3",
            Bucket=name,
            Key=key,
            Body=content,
            ExpectedBucketOwner=access.account,
        )
    except (RefusedByAwsError, UnreachableError) as error:
        raise UnreachableError(
            f"{error}: the template is too long for a request and goes through the bucket {name!r}:"
            " create it in this account and region, and let the role s3:PutObject and s3:GetObject"
        ) from error
    suffix = "amazonaws.com.cn" if access.region.startswith("cn-") else "amazonaws.com"
    return f"https://s3.{access.region}.{suffix}/{name}/{key}"
