"""Measures what the judge of health finds and what it takes for harm; see docs/health.md."""
