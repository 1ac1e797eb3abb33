"""Requests to Airflow's REST API as one user: log-in, errors, pages."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import requests
from requests.adapters import HTTPAdapter

Json = dict[str, Any]
PAGE = 100
_CONNECTIONS = 32
_AGAIN = 1.0


class ApiError(RuntimeError):
    """Airflow refused a request; `status` is the HTTP status, `detail` what it said."""

    def __init__(self, *, method: str, path: str, status: int, detail: object) -> None:
        super().__init__(f"{method} {path}: HTTP {status}: {detail}")
        self.status = status
        self.detail = detail


class Transport:
    """A session of one user; logs in at its first request, and again when it must.

    :param url: address of the API server, without `/api/v2`
    :param user: name of the user
    :param password: password of the user
    """

    def __init__(self, url: str, *, user: str, password: str, timeout: float = 30) -> None:
        self.url = url.rstrip("/")
        self.user = user
        self._password = password
        self._timeout = timeout
        self.patience = 0.0
        """Seconds for which a question is asked again while Airflow cannot answer it (5xx)."""
        self._session = requests.Session()
        self._session.trust_env = False
        # One client may serve many threads, as tests with many rollouts at once do.
        self._session.mount("http://", HTTPAdapter(pool_maxsize=_CONNECTIONS))

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, object] | None = None,
        params: Mapping[str, str | int | bool] | None = None,
    ) -> Any:
        """Send one request below `/api/v2` and return the parsed answer.

        :raises ApiError: when Airflow refuses it
        """
        if "Authorization" not in self._session.headers:
            self._log_in()
        answer = self._send(method, f"/api/v2{path}", json=json, params=params)
        if answer.status_code == requests.codes.unauthorized:
            self._log_in()
            answer = self._send(method, f"/api/v2{path}", json=json, params=params)
        return _parsed(answer, method=method, path=path)

    def anonymous(self, path: str) -> Any:
        """Get what needs no user."""
        return _parsed(self._send("GET", f"/api/v2{path}"), method="GET", path=path)

    def paged(
        self, path: str, *, key: str, params: Mapping[str, str | int | bool] | None = None
    ) -> Iterator[Json]:
        """Yield all entries of a listing, page by page; they are under `key`."""
        offset = 0
        while True:
            page = {**(params or {}), "limit": PAGE, "offset": offset}
            answer = self.request("GET", path, params=page)
            yield from answer[key]
            offset += PAGE
            if offset >= int(answer["total_entries"]):
                return

    def _log_in(self) -> None:
        body = {"username": self.user, "password": self._password}
        answer = self._send("POST", "/auth/token", json=body)
        token = _parsed(answer, method="POST", path="/auth/token")["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"

    def _send(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, object] | None = None,
        params: Mapping[str, str | int | bool] | None = None,
    ) -> requests.Response:
        until = time.monotonic() + self.patience
        while True:
            answer = self._session.request(
                method, f"{self.url}{path}", json=json, params=params, timeout=self._timeout
            )
            failed = answer.status_code >= requests.codes.server_error
            if not (failed and method == "GET" and time.monotonic() < until):
                return answer
            time.sleep(_AGAIN)


def _parsed(answer: requests.Response, *, method: str, path: str) -> Any:
    if answer.ok:
        return answer.json() if answer.content else {}
    try:
        detail = answer.json().get("detail", answer.text)
    except ValueError:
        detail = answer.text[:500]
    raise ApiError(method=method, path=path, status=answer.status_code, detail=detail)
