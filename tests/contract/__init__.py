"""What every substrate promises, as one suite; docs/extend.md says how to run it on yours."""
