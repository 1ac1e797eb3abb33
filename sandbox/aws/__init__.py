"""An embedded AWS: moto behind a thin layer that adds what moto lacks and injects faults.

Start it with ``python -m sandbox.aws``; drive it with :class:`sandbox.aws.client.SandboxAws`.
"""
