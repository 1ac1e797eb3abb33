"""The judge's numbers and rules, for those who need no series. Imports no numpy."""

from __future__ import annotations

ALPHA = 0.01
MIN_EFFECT_SD = 0.5
MIN_POINTS = 50
MIN_EXPOSURE = 100.0
MAX_METRICS = 8
LOOKS = 6
