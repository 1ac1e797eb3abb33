"""Metrics and probes in channels.yaml: what is accepted, what is refused, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from phased_rollout.config import load
from phased_rollout.errors import ConfigError
from phased_rollout.model.definition import AdapterSpec
from phased_rollout.model.metric import Ceiling, Metric, Worse, hard, judged

FILE = """\
version: 1
defaults: {soak: 2h}
rollouts:
  accounts:
    substrate:
      {kind: cloudformation, connection: aws, role: deploy, stack: app, region: eu-central-1}
    signals:
      - kind: cloudwatch_metrics
        role: reader
        metrics:
          - {name: errors, namespace: App, metric: Errors, statistic: Sum,
             dimensions: {Account: "{account}"}, worse: higher, unit: errors a minute,
             exposure: requests, min_exposure: 100, above: 50, points: 5, period: 2m}
          - {name: requests, namespace: App, metric: Requests, statistic: Sum}
          - {name: rate, expression: 100 * e / r, below: 1, parts: {
               e: {namespace: App, metric: E, statistic: p99},
               r: {namespace: App, metric: R, statistic: Sum}}}
      - kind: prometheus
        connection: prom
        metrics:
          - {name: latency, query: 'avg(latency{account="{account}"})', worse: higher,
             min_effect_sd: 0.5, min_points: 50, period: 30s}
          - {name: ready, query: 'min by (job) (up{job=~"{targets}"})', label: job, below: 1}
      - kind: http_probe
        url: https://{name}.example.org/health
        json: {/status: ok}
        timeout: 2s
    channels:
      - name: test
        targets: [{name: one, account: "111122223333"}]
"""


def loaded(tmp_path: Path, text: str = FILE) -> tuple[AdapterSpec, ...]:
    (tmp_path / "channels.yaml").write_text(text)
    return load(tmp_path / "channels.yaml").definitions["accounts"].channels[0].signals


def problems(tmp_path: Path, old: str, new: str) -> str:
    assert old in FILE
    with pytest.raises(ConfigError) as raised:
        loaded(tmp_path, FILE.replace(old, new))
    return str(raised.value).replace(f"{tmp_path}/", "")


def test_signals_say_what_of_them_is_hard_and_what_is_judged(tmp_path: Path) -> None:
    cloudwatch, prometheus, probe = loaded(tmp_path)
    assert judged(cloudwatch.options) == (
        Metric(
            "errors",
            Worse.HIGHER,
            unit="errors a minute",
            exposure="requests",
            min_exposure=100,
            period=120,
        ),
    )
    assert hard(cloudwatch.options) == (
        Ceiling("errors", above=50, points=5, unit="errors a minute", period=120),
        Ceiling("rate", below=1),
    )
    assert (cloudwatch.options["connection"], cloudwatch.options["role"]) == ("aws", "reader")
    assert judged(prometheus.options) == (
        Metric("latency", Worse.HIGHER, min_effect_sd=0.5, min_points=50, period=30),
    )
    assert probe.options == {
        "url": "https://{name}.example.org/health",
        "json": {"/status": "ok"},
        "timeout": 2.0,
    }


E = "channels.yaml:11: rollouts.accounts.signals[0].metrics[0]"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("above: 50,", "above: 50, below: 1,", f"{E}: has two limits: set either above or below"),
        ("above: 50, ", "", f"{E}: has points, but no limit"),
        ("worse: higher, unit", "unit", f"{E}: is not judged, so exposure means nothing"),
        ("exposure: requests, ", "", f"{E}: has min_exposure, but of what"),
        ("worse: higher, unit", "worse: bigger, unit", "bigger is not one of higher, lower"),
        ("exposure: requests", "exposure: request", "did you mean 'requests'?"),
        ("exposure: requests, min_exposure: 100, ", "", "requests is neither hard nor judged"),
        ("period: 2m", "period: 90s", "90s is no period of CloudWatch"),
        ("statistic: p99", "statistic: P99", "P99 is no statistic of CloudWatch"),
        ("100 * e / r", "100 * e", "does not use its part r"),
        ("expression: 100 * e / r,", "", "set namespace, metric and statistic, or expression"),
        (
            "role: reader",
            "role: deploy",
            "channels.yaml:9: rollouts.accounts.signals[0].role: is the role that changes",
        ),
        (
            "name: latency",
            "name: errors",
            "channels.yaml:21: rollouts.accounts.signals[1].metrics[0].name: another metric",
        ),
        (
            '"{account}"}, w',
            '"{acount}"}, w',
            "channels.yaml:8: rollouts.accounts.signals[0]: needs acount, which one's address does "
            "not have, did you mean 'account'?",
        ),
        ('account="{account}"', "account={account}", "has a placeholder outside of quotes"),
        ('account="{account}"', "account=`{account}`", "has a placeholder in backticks"),
        ('account="{account}"', 'account="x"', "the same for every target"),
        ('account="{account}"', 'account=~"{targets}"', "say by label which series is whose"),
        ('job=~"{targets}"', 'job="{targets}"', "outside of a regular expression"),
        ('job=~"{targets}"', 'job="{name}"', "write {targets}, not {name}"),
        ("https://{name}.example.org/health", "ftp://example.org", "is no address to probe"),
        ("https://{name}.example.org/health", "https://{name}/", "is no address to probe"),
        ("https://{name}.example.org/health", "https://u:p@example.org/", "names a user: put"),
        ("/status: ok", "status: ok", "status is no JSON pointer"),
        ("url: https", "connection: x\n        url: https", "has two addresses"),
        ("url: https://{name}.example.org/health", "connection: x", "say whom to ask"),
    ],
)
def test_what_cannot_work_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert said in problems(tmp_path, old, new)


def test_credentials_in_a_probes_url_are_not_repeated(tmp_path: Path) -> None:
    new = "https://user:hunter2@example.org/health"
    assert "hunter2" not in problems(tmp_path, "https://{name}.example.org/health", new)


def test_a_ninth_judged_metric_is_refused_in_whichever_signal_it_is(tmp_path: Path) -> None:
    more = "".join(
        f"          - {{name: m{n}, query: 'x{{a=\"{{name}}\"}}', worse: lower}}\n"
        for n in range(7)
    )
    old = "          - {name: ready"
    text = problems(tmp_path, old, more + old)
    assert "channels.yaml:29: rollouts.accounts.signals[1].metrics[7].worse: at most 8" in text


def test_a_channels_own_signals_are_judged_by_themselves(tmp_path: Path) -> None:
    own = """\
        signals:
          - {kind: prometheus, connection: prom, metrics: [
              {name: errors, query: 'x{a="{zone}"}', worse: higher}]}
"""
    text = problems(tmp_path, "        targets: [{name: one", own + "        targets: [{name: one")
    assert "channels[0].signals[0]: needs zone, which one's address does not have" in text


def test_cloudwatch_beside_another_substrate_needs_to_know_where_it_is(tmp_path: Path) -> None:
    text = problems(
        tmp_path,
        "{kind: cloudformation, connection: aws, role: deploy, stack: app, region: eu-central-1}",
        "{kind: kubernetes, record: web, kubeconfig: /etc/kubeconfig, context: one}",
    )
    assert "account: unknown key" in text


def test_a_gate_whose_judgement_can_never_be_made_is_refused_where_it_stands(
    tmp_path: Path,
) -> None:
    text = problems(tmp_path, "soak: 2h", "soak: 5s")
    assert "rollouts.accounts.channels[0].gate: the gate of test waits for a judgement of" in text
    assert "can never be made: a soak of 0:00:05 gives 0 points, of 50: soak for longer" in text


def test_who_waits_for_no_judgement_may_soak_for_as_short_as_he_likes(tmp_path: Path) -> None:
    loaded(tmp_path, FILE.replace("soak: 2h", "soak: 5s, gate: timer"))
