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
BAD_CREDENTIALS = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "OptInRequired",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_DENIED = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized"}
)
_ABOUT_AWS = re.compile(r"rate exceeded|throttl|internal ?failure|service ?unavailable", re.I)
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


def classify(error: Exception, *, where: str = "") -> RolloutError:
    """Say what an error of AWS means: could not be asked (hold), or a refusal (failure).

    :param where: put before the text, e.g. ``account 111122223333 (eu-west-1)``
    """
    prefix = f"{where}: " if where else ""
    if isinstance(error, RolloutError):
        return error
    if isinstance(error, ClientError):
        return _classify_reply(error, prefix)
    if isinstance(error, ParamValidationError):
        return RefusedByAwsError(
            f"{prefix}the request is not valid: {error}", code="ParamValidation", said=str(error)
        )
    return UnreachableError(f"{prefix}could not be asked: {error or type(error).__name__}")


def _classify_reply(error: ClientError, prefix: str) -> RolloutError:
    code = code_of(error)
    said = str(error.response.get("Error", {}).get("Message", "")).strip() or code
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    operation = error.operation_name
    if operation.startswith("AssumeRole"):
        return UnreachableError(f"{prefix}could not assume the role: {code}: {said}")
    if code in BAD_CREDENTIALS:
        return UnreachableError(f"{prefix}{operation}: the credentials are not valid: {said}")
    if code in _TRANSIENT or status >= _SERVER_ERROR or status == _TOO_MANY:
        return UnreachableError(f"{prefix}{operation}: {code}: {said}")
    if code in _DENIED and operation.startswith(("Describe", "Get", "List")):
        return UnreachableError(f"{prefix}{operation}: no permission to look: {said}")
    return RefusedByAwsError(f"{prefix}{operation}: {code}: {said}", code=code, said=said)


def code_of(error: Exception) -> str:
    """Give AWS's error code; empty when AWS did not answer."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", ""))
    return ""


def is_transient(reason: str) -> bool:
    """Say whether a reason that AWS gives for a failed operation is about AWS, not the change."""
    return _ABOUT_AWS.search(reason) is not None
