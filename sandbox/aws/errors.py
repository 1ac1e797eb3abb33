"""Errors as the AWS APIs answer them."""

from __future__ import annotations


class AwsError(Exception):
    """A refusal with the code, message and HTTP status that AWS would answer."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def validation_error(message: str) -> AwsError:
    """CloudFormation's and STS's answer to anything that is wrong with a request."""
    return AwsError("ValidationError", message)


def access_denied(*, caller: str, action: str, resource: str) -> AwsError:
    """IAM's refusal, in IAM's words."""
    message = f"User: {caller} is not authorized to perform: {action} on resource: {resource}"
    return AwsError("AccessDenied", message, status=403)
