"""What is observed becomes a verdict; silence never promotes."""

from __future__ import annotations

from phased_rollout.model.decision import Decision, Verdict, judge
from phased_rollout.model.target_state import Health, Observation


def seen(health: Health, target: str = "a") -> Observation:
    return Observation(target, "alarm", health, "5xx above 1 %")


def test_harm_beats_everything() -> None:
    assert judge([seen(Health.OK), seen(Health.UNKNOWN), seen(Health.HARM, "b")]) == Decision(
        Verdict.ROLL_BACK, "b: alarm: 5xx above 1 %"
    )


def test_what_is_not_known_holds() -> None:
    assert judge([seen(Health.OK), seen(Health.UNKNOWN)]) == Decision(
        Verdict.HOLD, "inconclusive: a: alarm: 5xx above 1 %"
    )


def test_no_observation_at_all_holds() -> None:
    assert judge([]) == Decision(Verdict.HOLD, "inconclusive: no health signal was observed")


def test_only_good_observations_promote() -> None:
    assert judge([seen(Health.OK), seen(Health.OK, "b")]) == Decision(
        Verdict.PROMOTE, "2 observations of 2 targets are ok"
    )


def test_a_long_list_is_shortened_with_its_length() -> None:
    decision = judge([seen(Health.HARM, f"t{n}") for n in range(7)])
    assert decision.reason.endswith("t4: alarm: 5xx above 1 %; and 2 more")
