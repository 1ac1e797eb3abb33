"""Stand-ins for the API servers of Kubernetes clusters, for the demo and tests."""
