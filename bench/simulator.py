"""Makes series of a fleet as they might be: seeded, so that a run can be made again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from phased_rollout.judge.case import Array, Case, Flags, Group, Metric, Series, Worse

MINUTE = 60
DAY_MINUTES = 1440
START = 1_790_000_100  # not on a quarter of an hour, as applies seldom end there


@dataclass(frozen=True, slots=True)
class Scene:
    """What a fleet is like, and what happens to it in the soak.

    :param phase: hours by which the daily rhythm of the changed targets is shifted
    :param shock: sd by which every target of the fleet gets worse when the soak begins
    :param harm: sd by which the changed targets get worse, of their noise without the rhythm
    :param gaps: share of points that are missing, half of them in runs of ten
    :param noisy: whether one changed target is five times as noisy, in bursts
    """

    changed: int
    controls: int
    soak: int = 60
    days: float = 8
    kind: Literal["gauge", "counter"] = "gauge"
    rhythm: float = 1.0
    phase: float = 0.0
    shock: float = 0.0
    harm: float = 0.0
    gaps: float = 0.0
    noisy: bool = False
    metrics: int = 1

    def case(self, random: np.random.Generator) -> Case:
        """Make one fleet's series."""
        metrics = tuple(self._metric(f"m{number}", random) for number in range(self.metrics))
        return Case(soak_start=START, soak_end=START + self.soak * MINUTE, metrics=metrics)

    def _metric(self, name: str, random: np.random.Generator) -> Metric:
        length = int(self.days * DAY_MINUTES) + self.soak
        times = START + MINUTE * np.arange(-int(self.days * DAY_MINUTES), self.soak, dtype=float)
        count = self.changed + self.controls
        changed = np.arange(count) < self.changed
        values = noise(random, count, length)
        if self.noisy:
            bursts = random.choice([1, 5], length // 30 + 1, p=[0.9, 0.1])
            values[0] *= np.repeat(bursts, 30)[:length]
        values += self._rhythm(random, times, changed)
        soak = times >= START
        values[:, soak] += self.shock * random.uniform(0.7, 1.3, (count, 1))
        values[np.ix_(changed, soak)] += self.harm
        if self.kind == "counter":
            rate = 20 * random.lognormal(0, 0.7, (count, 1))
            values = random.poisson(rate * np.exp(0.25 * values)).astype(float)
        else:
            values = values * random.lognormal(0, 1, (count, 1)) + random.normal(0, 50, (count, 1))
        if self.gaps:
            values[_missing(random, values.shape, self.gaps)] = np.nan
        series = tuple(
            Series(f"t{row}", Group.CHANGED if changed[row] else Group.CONTROL, times, values[row])
            for row in range(count)
        )
        return Metric(name, Worse.HIGHER, series)

    def _rhythm(self, random: np.random.Generator, times: Array, changed: Flags) -> Array:
        """Days and weeks: a wave, less at weekends; not the same from day to day nor everywhere."""
        shift = np.where(changed, self.phase, 0.0) + random.normal(0, 0.3, len(changed))
        hours = times[None, :] / 3600 - shift[:, None]
        day = (hours // 24).astype(int)
        size = random.lognormal(0, 0.15, day.max() - day.min() + 1)[day - day.min()]
        size *= np.where(day % 7 < 2, 0.7, 1.0)  # noqa: PLR2004 - two days of each week
        wave = np.sin(2 * np.pi * hours / 24) + 0.4 * np.sin(4 * np.pi * hours / 24)
        amplitude = self.rhythm * random.lognormal(0, 0.3, (len(changed), 1))
        result: Array = amplitude * size * wave
        return result


def noise(random: np.random.Generator, count: int, length: int) -> Array:
    """Make rows of noise of sd 1: half quick, half slow, with a heavy tail upwards."""
    quick, slow = (_autocorrelated(random, count, length, tau) for tau in (3.0, 45.0))
    mixed = np.sqrt(0.6) * quick + np.sqrt(0.4) * slow
    heavy = np.sinh(0.4 * mixed) + 0.15 * (np.exp(0.5 * mixed) - np.exp(0.125))
    result: Array = (heavy - heavy.mean(axis=1, keepdims=True)) / heavy.std(axis=1, keepdims=True)
    return result


def _autocorrelated(random: np.random.Generator, count: int, length: int, minutes: float) -> Array:
    """Make first-order autoregressive noise, whose correlation falls to 1/e in some minutes."""
    phi = float(np.exp(-1 / minutes))
    size = 1 << (length + int(10 * minutes)).bit_length()
    gain = np.sqrt(1 - phi**2) / (1 - phi * np.exp(-2j * np.pi * np.fft.rfftfreq(size)))
    white = np.fft.rfft(random.standard_normal((count, size)), axis=1)
    result: Array = np.fft.irfft(white * gain, size, axis=1)[:, :length]
    return result


def _missing(random: np.random.Generator, shape: tuple[int, ...], share: float) -> Flags:
    """Choose points that are missing, half of them singly and half in runs of ten."""
    begins = random.random(shape) < share / 20
    runs = np.cumsum(begins, axis=1, dtype=int)
    runs[:, 10:] -= runs[:, :-10].copy()
    result: Flags = (runs > 0) | (random.random(shape) < share / 2)
    return result
