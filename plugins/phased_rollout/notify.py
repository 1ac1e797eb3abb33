"""Tells people through Airflow's notifiers, which may fail, hang or be missing: nothing else does.

Notifiers are imported, built and called in threads of their own that are not waited for beyond a
limit. What went wrong is logged with the notifier's name and the kind of error only: the text of an
error may hold a secret of the connection, such as the address of a webhook.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from importlib import import_module
from threading import Thread
from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseNotifier
from airflow.sdk.configuration import conf

from phased_rollout.errors import ConfigError, RecordExistsError
from phased_rollout.model.digest import digest_of
from phased_rollout.model.notices import Notice
from phased_rollout.model.notifier import Notifier
from phased_rollout.records import RolloutRecords

PATIENCE = 10.0
"""Seconds that a message may keep a task waiting, however many notifiers there are."""

log = logging.getLogger(__name__)


def tell(
    records: RolloutRecords, notifiers: Sequence[Notifier], notice: Notice, context: Any
) -> None:
    """Tell each notifier that wants to hear of the event, once in the life of the run.

    Never raises: whatever is wrong with a message, the rollout goes on.
    """
    wanted = [notifier for notifier in notifiers if notice.event in notifier.events]
    with harmless(notice.event):
        if wanted and _is_new(records, notice):
            given = {**context, **_described(records, notice, context)}
            told = _in_threads(wanted, lambda notifier: _deliver(notifier, dict(given)))
            for number, error in told.items():
                path = wanted[number].path
                log.error("%s: notifier %s %s; the rollout goes on", notice.event, path, error)


@contextmanager
def harmless(what: str) -> Iterator[None]:
    """Log what goes wrong with telling, and nothing else of it: a message fails no rollout."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - a message must not fail what it tells of
        log.error("%s could not be told: %s", what, type(error).__name__)


def problems_of(notifiers: Sequence[Notifier]) -> dict[int, str]:
    """Say of each notifier that cannot be used why, by its position; imports them."""
    return _in_threads(notifiers, _made)


def _is_new(records: RolloutRecords, notice: Notice) -> bool:
    """Claim the notice: a task that is retried or cleared does not repeat it.

    Claimed before it is sent: after a crash between the two, a message is missing, not doubled.
    """
    key = digest_of([notice.event, notice.channel, *notice.occurrence])[:16]
    path = records.folder / "told" / f"{notice.event}~{key}.json"
    value = {"event": notice.event, "channel": notice.channel, "message": notice.message}
    try:
        records.store.create(path, value)
    except RecordExistsError:
        return False
    return True


def _described(records: RolloutRecords, notice: Notice, context: Any) -> dict[str, str]:
    """Give what templates may use beside Airflow's own context."""
    return {
        "title": notice.title,
        "message": notice.message,
        "event": str(notice.event),
        "definition": records.definition,
        "channel": notice.channel,
        "run_id": records.run_id,
        "link": _link(getattr(context.get("ti"), "dag_id", records.definition), records.run_id),
    }


def _link(dag_id: str, run_id: str) -> str:
    base = conf.get("api", "base_url", fallback="").rstrip("/")
    return f"{base}/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}"


def _made(notifier: Notifier) -> BaseNotifier:
    """Import a notifier and build it; raises ConfigError when that cannot be done."""
    module, _, name = notifier.import_path.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        mend = "correct the path, or install the package that has it"
        raise ConfigError([f"cannot be imported: {error}: {mend}"]) from error
    if not (inspect.isclass(found) and issubclass(found, BaseNotifier)):
        raise ConfigError(["is no subclass of airflow.sdk.BaseNotifier: correct the path"])
    try:
        inspect.signature(found).bind(**notifier.options)
    except TypeError as error:
        raise ConfigError([f"cannot be built: {error}: correct the keys under with"]) from error
    return found(**notifier.options)


def _deliver(notifier: Notifier, context: dict[str, Any]) -> None:
    made = _made(notifier)
    made.render_template_fields(context)  # type: ignore[arg-type] # a context with more in it
    # Not made(context), which logs the text of an error.
    if type(made).notify is BaseNotifier.notify:
        asyncio.run(made.async_notify(context))  # type: ignore[arg-type]
    else:
        made.notify(context)  # type: ignore[arg-type]


def _in_threads(
    notifiers: Sequence[Notifier], work: Callable[[Notifier], object]
) -> dict[int, str]:
    """Do something with each notifier, all at once; gives what went wrong, by position."""
    wrong: dict[int, str] = {}

    def run(number: int, notifier: Notifier) -> None:
        try:
            work(notifier)
        except ConfigError as error:
            wrong[number] = str(error)
        except BaseException as error:  # noqa: BLE001 - also of SystemExit nothing is told but its name
            wrong[number] = f"failed with {type(error).__name__}"

    threads = [
        Thread(target=copy_context().run, args=(run, number, notifier), daemon=True)
        for number, notifier in enumerate(notifiers)
    ]
    until = time.monotonic() + PATIENCE
    for thread in threads:
        thread.start()
    for number, thread in enumerate(threads):
        thread.join(max(0.0, until - time.monotonic()))
        if thread.is_alive():
            wrong[number] = f"has not answered within {PATIENCE:g} s"
    return dict(sorted(dict(wrong).items()))
