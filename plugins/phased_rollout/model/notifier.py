"""Whom a rollout tells, and of what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Event(StrEnum):
    """What happens in a rollout that people want to hear of."""

    STARTED = "started"
    WAITING = "waiting"
    GRADUATED = "graduated"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    BYPASSED = "bypassed"
    DEBT = "debt"
    FINISHED = "finished"


SHORT_NAMES = {
    "email": "airflow.providers.smtp.notifications.smtp.SmtpNotifier",
    "slack": "airflow.providers.slack.notifications.slack.SlackNotifier",
    "slack_webhook": "airflow.providers.slack.notifications.slack_webhook.SlackWebhookNotifier",
    "sns": "airflow.providers.amazon.aws.notifications.sns.SnsNotifier",
}
"""Names for notifiers of Airflow's providers that are used often."""


@dataclass(frozen=True, slots=True)
class Notifier:
    """One of Airflow's notifiers, which is imported only when there is something to tell.

    :param path: import path of a subclass of ``airflow.sdk.BaseNotifier``, or a short name
    :param events: what it is told of
    :param options: its keyword arguments; those that it calls templates are rendered
    """

    path: str
    events: tuple[Event, ...] = tuple(Event)
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def import_path(self) -> str:
        """Give the import path, of a short name too."""
        return SHORT_NAMES.get(self.path, self.path)
