"""The stages of stack operations: in progress, clean-up, rollback, complete.

Every ``start`` method expects the region's lock to be held; every later stage takes it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.aws.cloudformation.model import ChangeSet, Desired, Region, Stack, now
from sandbox.aws.cloudformation.nested import NestedStacks
from sandbox.aws.cloudformation.operation import Operation
from sandbox.aws.cloudformation.provision import Provisioner
from sandbox.aws.denials import Denials
from sandbox.aws.errors import AwsError
from sandbox.aws.pace import Pace
from sandbox.aws.scheduler import Scheduler

USER = "User Initiated"
_HELD_POLL = 0.02


@dataclass(slots=True)
class _Run:
    """An operation on its way through the stages."""

    operation: Operation
    change_set: ChangeSet | None
    on_failure: str  # ROLLBACK, DELETE or DO_NOTHING
    failure: str = ""

    @property
    def stack(self) -> Stack:
        return self.operation.stack

    def finish(self, execution_status: str) -> None:
        if self.change_set is not None:
            self.change_set.execution_status = execution_status


@dataclass(slots=True)
class Engine:
    """Starts operations and takes them through their stages."""

    scheduler: Scheduler
    pace: Pace
    denials: Denials
    on_settled: Callable[[str], None]
    _stuck: dict[str, _Run] = field(default_factory=dict)  # stacks in UPDATE_ROLLBACK_FAILED

    def start_create(
        self, region: Region, stack: Stack, desired: Desired, *, token: str | None,
        change_set: ChangeSet | None = None, on_failure: str = "ROLLBACK",
    ) -> None:  # fmt: skip
        run = self._begin(region, stack, desired, token=token, change_set=change_set,
                          on_failure=on_failure)  # fmt: skip
        stack.enter("CREATE_IN_PROGRESS", reason=USER)
        self._later(run, self._create)

    def start_update(
        self, region: Region, stack: Stack, desired: Desired, *, token: str | None,
        change_set: ChangeSet | None = None, on_failure: str = "ROLLBACK",
    ) -> None:  # fmt: skip
        run = self._begin(region, stack, desired, token=token, change_set=change_set,
                          on_failure=on_failure)  # fmt: skip
        stack.updated = now()
        stack.enter("UPDATE_IN_PROGRESS", reason=USER)
        self._later(run, self._update)

    def start_delete(
        self, region: Region, stack: Stack, *, token: str | None, retain: frozenset[str]
    ) -> None:
        """Delete a stack; one that was never created is gone at once."""
        desired = stack.desired
        stack.token = token
        if desired is None:
            stack.enter("DELETE_COMPLETE")
            region.remove(stack)
            return
        operation = self.operation(region, stack, desired)
        operation.retain = retain
        stack.enter("DELETE_IN_PROGRESS", reason=USER)
        self._later(_Run(operation, None, "ROLLBACK"), self._delete)

    def start_continue_rollback(
        self, stack: Stack, *, token: str | None, skip: frozenset[str]
    ) -> None:
        """Try again what a failed rollback could not undo, but for the resources to skip."""
        run = self._stuck.pop(stack.arn, None)
        if run is None:
            raise AwsError("InternalFailure", "nothing is known of the rollback", status=500)
        run.operation.undo = [item for item in run.operation.undo if item[1].logical_id not in skip]
        stack.token = token
        stack.enter("UPDATE_ROLLBACK_IN_PROGRESS", reason=USER)
        self._later(run, self._roll_back_update)

    def operation(self, region: Region, stack: Stack, desired: Desired) -> Operation:
        """What brings a stack to what is desired of it, one resource after the other."""
        provisioner = Provisioner(account=region.account, region=region.name,
                                  denials=self.denials, role=desired.role_arn or "")  # fmt: skip
        nested = NestedStacks(region, stack, self.operation)
        return Operation(region, stack, provisioner, nested, desired)

    def _begin(
        self, region: Region, stack: Stack, desired: Desired, *, token: str | None,
        change_set: ChangeSet | None, on_failure: str,
    ) -> _Run:  # fmt: skip
        stack.previous, stack.desired, stack.token = stack.desired, desired, token
        stack.disable_rollback = on_failure == "DO_NOTHING"
        if change_set is not None:
            change_set.execution_status = "EXECUTE_IN_PROGRESS"
        return _Run(self.operation(region, stack, desired), change_set, on_failure)

    def _later(self, run: _Run, stage: Callable[[_Run], None], *, phases: float = 1.0) -> None:
        region = run.operation.region

        def step() -> None:
            with region.lock:
                try:
                    stage(run)
                except Exception:  # a defect of the sandbox; the stack must not stay busy
                    run.finish("EXECUTE_FAILED")
                    run.stack.enter(_broken(run.stack.status), reason="Internal Failure")
                    raise
            if not run.stack.busy:
                self.on_settled(region.account)

        self.after(region.account, phases, step)

    def after(self, account: str, phases: float, step: Callable[[], None]) -> None:
        """Run a step after some phases of the account, and not while the account is held."""

        def unless_held() -> None:
            if account in self.pace.held:
                self.scheduler.later(_HELD_POLL, unless_held)
            else:
                step()

        self.scheduler.later(self.pace.seconds(account) * phases, unless_held)

    def _provisioned(self, run: _Run) -> bool:
        run.failure = run.operation.attempt() or ""
        return not run.failure

    def _create(self, run: _Run) -> None:
        if run.stack.status != "CREATE_IN_PROGRESS":
            return  # deleted meanwhile
        if self._provisioned(run):
            run.finish("EXECUTE_COMPLETE")
            run.stack.enter("CREATE_COMPLETE")
        elif run.on_failure == "DO_NOTHING":
            run.finish("EXECUTE_FAILED")
            run.stack.enter("CREATE_FAILED", reason=run.failure)
        elif run.on_failure == "DELETE":
            run.finish("EXECUTE_FAILED")
            run.stack.enter("DELETE_IN_PROGRESS", reason=f"{run.failure}Delete requested by user.")
            self._later(run, self._delete)
        else:
            reason = f"{run.failure}Rollback requested by user."
            run.stack.enter("ROLLBACK_IN_PROGRESS", reason=reason)
            self._later(run, self._roll_back_create)

    def _roll_back_create(self, run: _Run) -> None:
        if run.stack.status != "ROLLBACK_IN_PROGRESS":
            return
        failed = run.operation.roll_back()
        run.finish("EXECUTE_FAILED")
        reason = f"The following resource(s) failed to delete: [{', '.join(failed)}]. "
        run.stack.enter("ROLLBACK_FAILED" if failed else "ROLLBACK_COMPLETE",
                        reason=reason if failed else None)  # fmt: skip

    def _update(self, run: _Run) -> None:
        if self._provisioned(run):
            run.stack.enter("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
            self._later(run, self._clean_up, phases=0.5)
        elif run.on_failure == "DO_NOTHING":
            run.finish("EXECUTE_FAILED")
            run.stack.enter("UPDATE_FAILED", reason=run.failure)
        else:
            self._revert(run)
            run.stack.enter("UPDATE_ROLLBACK_IN_PROGRESS", reason=run.failure)
            self._later(run, self._roll_back_update)

    def _clean_up(self, run: _Run) -> None:
        run.operation.clean_up()
        run.finish("EXECUTE_COMPLETE")
        run.stack.enter("UPDATE_COMPLETE")

    def _revert(self, run: _Run) -> None:
        """From here on the stack reports the earlier template, parameters and tags."""
        run.stack.desired = run.stack.previous

    def _roll_back_update(self, run: _Run) -> None:
        failed = run.operation.roll_back()
        run.finish("EXECUTE_FAILED")
        if failed:
            self._stuck[run.stack.arn] = run
            reason = f"The following resource(s) failed to update: [{', '.join(failed)}]. "
            run.stack.enter("UPDATE_ROLLBACK_FAILED", reason=reason)
            return
        run.stack.outputs = run.operation.outputs(run.stack.desired)
        run.stack.enter("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
        self._later(run, self._rolled_back, phases=0.5)

    def _rolled_back(self, run: _Run) -> None:
        run.stack.enter("UPDATE_ROLLBACK_COMPLETE")

    def _delete(self, run: _Run) -> None:
        failed = run.operation.delete_all()
        if failed:
            reason = f"The following resource(s) failed to delete: [{', '.join(failed)}]. "
            run.stack.enter("DELETE_FAILED", reason=reason)
            return
        run.stack.enter("DELETE_COMPLETE")
        run.operation.region.remove(run.stack)


def _broken(status: str) -> str:
    """The failed status that follows one in progress."""
    if status.startswith("UPDATE"):
        return "UPDATE_ROLLBACK_FAILED"
    return "DELETE_FAILED" if status.startswith("DELETE") else "ROLLBACK_FAILED"
