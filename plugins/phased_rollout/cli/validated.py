"""What `validate` looks at beyond the file itself, and what it says of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from phased_rollout import config
from phased_rollout.cli.planned import judged_as_json
from phased_rollout.cli.tables import Json
from phased_rollout.model.change import Change
from phased_rollout.model.definition import Config, Definition
from phased_rollout.model.outlook import outlooks


def judgeable(found: Config) -> dict[str, list[Json]]:
    """Give what the judge could find, by rollout; nothing where none has metrics to be judged.

    Nor where targets are selected: how many there are is known when a plan is made.
    """
    given = {
        name: [
            {"channel": channel.name, **metric}
            for channel in definition.channels
            for metric in judged_as_json(outlooks(definition), channel.name)
        ]
        for name, definition in found.definitions.items()
        if not any(channel.select for channel in definition.channels)
    }
    return {name: metrics for name, metrics in given.items() if metrics}


def lint(definition: Definition, change: Change) -> Iterator[str]:
    # The substrates need Airflow, which the rest of the command line does without.
    from phased_rollout import substrates  # noqa: PLC0415

    for problem in substrates.problems_of(definition.substrate, change, definition.channels):
        yield f"{definition.name}: {problem}"


def notifiers(found: Config) -> Iterator[str]:
    """Import the notifiers that the file names; none of them is while a Dag is parsed."""
    for definition in found.definitions.values():
        if not definition.notify:
            continue
        from phased_rollout import notify  # noqa: PLC0415 - takes Airflow, which is slow to import

        for number, why in notify.problems_of(definition.notify).items():
            of_rollout = ("rollouts", definition.name, "notify", number, "notifier")
            of_file = ("defaults", "notify", number, "notifier")
            what = f"{definition.notify[number].path} {why}"
            yield config.problem_at(what, of_rollout, of_file, path=Path(found.source))
