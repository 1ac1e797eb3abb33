"""A real Prometheus with a past, for tests and the demo; the machine has to have its binaries."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

MISSING = "prometheus and promtool are not installed: apt-get install prometheus"
_READY_WITHIN = 30.0
_POLL = 0.05


def is_installed() -> bool:
    """Whether this machine can run it."""
    return all(shutil.which(name) for name in ("prometheus", "promtool"))


@dataclass(frozen=True, slots=True)
class History:
    """A series: (seconds since the epoch, value), in the order of time."""

    metric: str
    labels: Mapping[str, str]
    points: Iterable[tuple[float, float]]

    def lines(self) -> Iterable[str]:
        """Write it as OpenMetrics."""
        labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in self.labels.items())
        return (f"{self.metric}{{{labels}}} {value!r} {at}" for at, value in self.points)


@dataclass
class SandboxPrometheus:
    """Runs in a folder of its own, scrapes nothing, and knows what it was loaded with."""

    folder: Path
    process: subprocess.Popen[Any] | None = None
    endpoint: str = ""
    _log: Path = field(init=False)

    def __post_init__(self) -> None:
        self._log = self.folder / "prometheus.log"

    def start(self, *history: History) -> Self:
        """Load the past, start, and wait until it answers; raises RuntimeError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        data, config = self.folder / "data", self.folder / "prometheus.yml"
        config.write_text("global: {}\n")
        if history:
            self._load(history, data)
        port = _free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={data}"]
        command += ["--storage.tsdb.retention.time=60d", f"--web.listen-address=127.0.0.1:{port}"]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(  # noqa: S603 our own arguments
                command, stdout=log, stderr=subprocess.STDOUT
            )
        self._wait()
        return self

    def _load(self, history: Iterable[History], data: Path) -> None:
        """Make blocks of the past, which the server finds when it starts."""
        text, lines, kinds = self.folder / "history.txt", [], set()
        for each in sorted(history, key=lambda each: each.metric):
            if each.metric not in kinds:
                kinds.add(each.metric)
                lines.append(f"# TYPE {each.metric} gauge")
            lines += each.lines()
        text.write_text("\n".join([*lines, "# EOF"]) + "\n")
        command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(text), str(data)]
        done = subprocess.run(  # noqa: S603 our own arguments
            command, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"promtool: {done.stderr or done.stdout}")

    def stop(self) -> None:
        """End the process that this object started."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + _READY_WITHIN
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.endpoint}/-/ready", timeout=5):  # noqa: S310
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(_POLL)
        self.stop()
        raise RuntimeError(f"prometheus did not start: {self._log.read_text()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
