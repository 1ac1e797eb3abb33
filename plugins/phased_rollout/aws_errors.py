"""What AWS's errors mean: the target could not be asked, or it refused."""

from __future__ import annotations

import re

from botocore.exceptions import ClientError, ParamValidationError

from phased_rollout.errors import RefusedError, RolloutError, UnreachableError

_SERVER_ERROR, _TOO_MANY = 500, 429

THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottledException",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
BAD_CREDENTIALS = EXPIRED | frozenset(
    {
        "AuthFailure",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "OptInRequired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_DENIED = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"}
)
_PERMISSION = re.compile(r"authorized to perform:? ([\w-]+:\w+)")
_PREFIXES = {"resourcegroupstaggingapi": "tag"}  # in policies, where they differ from the service
# Values that a text repeats and that may be secret.
_GIVEN = re.compile(r"(?<=, value: ).*?(?=, (?:type|valid))|(?<=Value ').*?(?=' at 'externalId')")
_NO_ROLE = re.compile(r"\brole\b.*\b(?:is invalid or )?cannot be assumed", re.I)
_ABOUT_AWS = re.compile(
    rf"rate exceeded|throttl|internal ?failure|service ?unavailable|{_NO_ROLE.pattern}", re.I
)
_TRANSIENT = frozenset(
    {"InternalFailure", "InternalError", "RequestTimeout", "ServiceUnavailable"} | THROTTLED
)


class RefusedByAwsError(RefusedError):
    """AWS said no.

    :param code: AWS's error code, e.g. ``ValidationError``
    :param said: AWS's own message
    """

    def __init__(self, message: str, *, code: str, said: str) -> None:
        super().__init__(message)
        self.code = code
        self.said = said


def classify(
    error: Exception, *, where: str = "", service: str = "", who: str = "the caller"
) -> RolloutError:
    """Say what an error of AWS means: could not be asked (hold), or a refusal (failure).

    What AWS does not let the caller do, or CloudFormation as the service role, is a fault of the
    rollout's own set-up and no evidence against the change: hold.

    :param where: put before the text, e.g. ``account 111122223333 (eu-west-1)``
    :param service: that was called, as boto3 names it
    :param who: called it, e.g. ``role 'rollout'``
    """
    prefix = f"{where}: " if where else ""
    if isinstance(error, RolloutError):
        return error
    if isinstance(error, ClientError):
        return _classify_reply(error, prefix, service=service, who=who)
    if isinstance(error, ParamValidationError):
        said = _GIVEN.sub("…", str(error))
        return RefusedByAwsError(
            f"{prefix}the request is not valid: {said}", code="ParamValidation", said=said
        )
    return UnreachableError(f"{prefix}could not be asked: {error or type(error).__name__}")


def _classify_reply(error: ClientError, prefix: str, *, service: str, who: str) -> RolloutError:
    code, operation = code_of(error), error.operation_name
    said = str(error.response.get("Error", {}).get("Message", "")).strip() or code
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    denied = code in _DENIED
    if operation.startswith("AssumeRole"):
        said = _GIVEN.sub("…", said)
        mend = ": mend the role's trust policy, `role`, `external_id` or `via`" if denied else ""
        return UnreachableError(f"{prefix}could not assume the role: {code}: {said}{mend}")
    if code in BAD_CREDENTIALS:
        return UnreachableError(
            f"{prefix}{operation}: the credentials are not valid, or the region is not enabled in "
            f"the account: {code}: {said}"
        )
    if code in _TRANSIENT or status >= _SERVER_ERROR or status == _TOO_MANY:
        return UnreachableError(f"{prefix}{operation}: {code}: {said}")
    if denied:
        needs = f"{who} needs {_permission(said, service, operation)}"
        look = operation.startswith(("Describe", "Get", "List"))
        what = "no permission to look" if look else code
        return UnreachableError(f"{prefix}{operation}: {what}: {needs}: {said}")
    if _NO_ROLE.search(said):
        mend = "create it, and let its trust policy name cloudformation.amazonaws.com"
        return UnreachableError(f"{prefix}{operation}: {code}: {said}: {mend}")
    return RefusedByAwsError(f"{prefix}{operation}: {code}: {said}", code=code, said=said)


def _permission(said: str, service: str, operation: str) -> str:
    """Name the permission that is missing: as AWS says it, else by the call."""
    if found := _PERMISSION.search(said):
        return found[1]
    return f"{_PREFIXES.get(service, service)}:{operation}"


def code_of(error: Exception) -> str:
    """Give AWS's error code; empty when AWS did not answer."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", ""))
    return ""


def is_transient(reason: str) -> bool:
    """Say whether a reason that AWS gives for a failure is about AWS or roles, not the change."""
    return _ABOUT_AWS.search(reason) is not None
