"""The judge of health: pure arithmetic over series; see docs/health.md. Not imported in parsing."""
