from datetime import timedelta

from phased_rollout.model.definition import AdapterSpec, Channel, Config, Definition, Target
from sandbox.stack.seeding import Seeding, plan_seeding


def make_definition(
    name: str, *, kind: str = "cloudformation", stack: str = "baseline"
) -> Definition:
    def channel(name: str, *targets: tuple[str, str]) -> Channel:
        found = [Target(f"{a}-{r}", {"account": a, "region": r}) for a, r in targets]
        return Channel(name, tuple(found), soak=timedelta(seconds=1))

    return Definition(
        name,
        AdapterSpec(kind, {"stack": stack}),
        (
            channel("playground", ("1", "here")),
            channel("test", ("2", "here"), ("3", "here"), ("3", "there")),
        ),
    )


def test_every_account_is_seeded_in_its_region_and_one_of_test_is_denied_queues() -> None:
    definitions = {
        "one": make_definition("one"),
        "two": make_definition("two"),
        "other": make_definition("other", stack="network"),
        "clusters": make_definition("clusters", kind="kubernetes"),
    }

    assert plan_seeding(Config("channels.yaml", definitions)) == [
        Seeding("baseline", "here", ("1", "2", "3"), denied="3"),
        Seeding("baseline", "there", ("3",), denied="3"),
        Seeding("network", "here", ("1", "2", "3"), denied="3"),
        Seeding("network", "there", ("3",), denied="3"),
    ]
