"""The pure core: values and rules. Standard library only, no clock, no I/O."""
