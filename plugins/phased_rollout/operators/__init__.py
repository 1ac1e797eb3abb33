"""The tasks of a rollout. Thin: ask the model, call the adapter, defer or return."""
