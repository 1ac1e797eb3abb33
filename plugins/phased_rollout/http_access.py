"""How an HTTP service is reached: by an Airflow connection, which has the host and the secrets."""

from __future__ import annotations

import re
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urlsplit

import requests
from airflow.providers.http.hooks.http import HttpHook
from airflow.sdk.exceptions import AirflowException
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from phased_rollout.errors import UnreachableError

TIMEOUT = (5, 30)
_AT_ONCE = 32
_SHORTEST_SECRET = 4
_NO_SECRETS = {"accept", "accept-encoding", "connection", "content-type", "user-agent"}


def session_of(name: str) -> tuple[requests.Session, str]:
    """Give a session with the connection's secrets, and the address that paths are below.

    May be used by many threads: it keeps no cookies. A GET whose connection breaks is sent once
    more. Raises UnreachableError when the connection is not there or cannot be used.
    """
    again = Retry(
        total=1, status=0, redirect=0, allowed_methods=["GET"], respect_retry_after_header=False
    )
    adapter = HTTPAdapter(pool_maxsize=_AT_ONCE, max_retries=again)
    hook = HttpHook(method="GET", http_conn_id=name, adapter=adapter)
    try:
        if hook.get_connection(name).conn_type != "http":
            raise UnreachableError(f"connection {name!r} is not of type 'http'")
        session = hook.get_conn()
    except (AirflowException, PermissionError) as error:
        raise UnreachableError(
            f"connection {name!r} does not exist: create it in Airflow, or mend `connection`"
        ) from error
    except ValueError as error:
        what = f"connection {name!r} has no usable host: mend it in Airflow"
        raise UnreachableError(what) from error
    if not urlsplit(hook.base_url).netloc:
        raise UnreachableError(f"connection {name!r} has no usable host: mend it in Airflow")
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return session, hook.base_url


def join(base: str, path: str) -> str:
    """Give the address of a path below the connection's host, which may have a path itself."""
    return f"{base.rstrip('/')}/{path.lstrip('/')}"


def shown(url: str) -> str:
    """Give an address as it may be told: user, password and query can be secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def without_secrets(text: str, session: requests.Session) -> str:
    """Blot out whatever the connection sends besides the request itself."""
    auth = session.auth if isinstance(session.auth, tuple) else vars(session.auth or object)
    values = [*(auth.values() if not isinstance(auth, tuple) else auth)]
    values += [v for key, v in session.headers.items() if key.lower() not in _NO_SECRETS]
    words = {
        w for v in values if isinstance(v, (str, bytes)) for w in re.split(r"\s+", _as_text(v))
    }
    for word in sorted((w for w in words if len(w) >= _SHORTEST_SECRET), key=len, reverse=True):
        text = text.replace(word, "***")
    return text


def _as_text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
