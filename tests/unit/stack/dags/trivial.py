"""A Dag shaped like a rollout, for the test that starts the stack: it fails on one target."""

from airflow.sdk import DAG, TaskGroup, task

with DAG("trivial", schedule=None, catchup=False):

    @task
    def plan() -> list[str]:
        """Name the targets."""
        return ["one", "two"]

    targets = plan()

    with TaskGroup("playground"):

        @task
        def enter(names: list[str]) -> list[str]:
            """Hand them out."""
            return names

        @task(map_index_template="{{ task.op_kwargs['name'] }}")
        def apply(name: str) -> str:
            """Fail on one of them."""
            if name == "two":
                raise ValueError("two does not want it")
            return name

        apply.expand(name=enter(targets))
