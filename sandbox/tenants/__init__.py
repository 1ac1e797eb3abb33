"""A stand-in for the control plane of a SaaS product, for the demo and tests."""
