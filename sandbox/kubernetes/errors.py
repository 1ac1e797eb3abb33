"""What a request is refused with: a Status, as the API server words it."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


class ApiError(Exception):
    """An answer that is an error.

    :param code: of HTTP
    :param reason: one of the API's, such as ``NotFound``
    :param causes: details, each with ``reason``, ``message`` and ``field``
    """

    def __init__(
        self, code: int, reason: str, message: str, *, causes: list[Json] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.causes = causes or []

    def body(self) -> Json:
        status: Json = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            "reason": self.reason,
            "code": self.code,
        }
        if self.causes:
            status["details"] = {"causes": self.causes}
        return status


def named(resource: str, group: str) -> str:
    """A resource as messages name it: ``deployments.apps``."""
    return f"{resource}.{group}" if group else resource


def not_found(resource: str, group: str, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{named(resource, group)} "{name}" not found')


def invalid(kind: str, group: str, name: str, causes: list[Json]) -> ApiError:
    texts = [f"{cause['field']}: {cause['message']}" for cause in causes]
    shown = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    message = f'{named(kind, group)} "{name}" is invalid: {shown}'
    return ApiError(422, "Invalid", message, causes=causes)
