"""Judges a case; see docs/health.md."""

from __future__ import annotations

from phased_rollout.judge.case import Case
from phased_rollout.judge.judgement import Judgement


def judge(case: Case, *, look: int | None = None) -> Judgement:
    """Say whether the changed targets got worse than the others, or why that cannot be known.

    :param look: k of six looks, instead of the case's own; None takes the case's
    """
    raise NotImplementedError
