"""Whose bucket is whose: moto lets every account into every bucket."""

from __future__ import annotations

from typing import Any

from sandbox.aws.errors import AwsError
from sandbox.aws.identity import Caller


def owner_of(bucket: str) -> str | None:
    """The account that owns a bucket of that name, or None; names are global."""
    from moto.s3.models import s3_backends  # noqa: PLC0415 loading a service costs seconds

    found = s3_backends.bucket_accounts.get(bucket)
    return None if found is None else str(found[1])


def check_owner(environ: dict[str, Any], caller: Caller) -> None:
    """Refuse another account's bucket, and one that is not of the owner that was expected."""
    bucket = str(environ.get("PATH_INFO", "")).lstrip("/").partition("/")[0]
    owner = owner_of(bucket)
    expected = environ.get("HTTP_X_AMZ_EXPECTED_BUCKET_OWNER", owner)
    if owner is not None and (owner != caller.account or expected != owner):
        raise AwsError("AccessDenied", "Access Denied", status=403)
