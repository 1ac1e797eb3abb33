"""Ends a stack when the process that started it is gone, even killed: `python -m ... STATE`.

It waits at the end of a pipe whose other end that process holds.
"""

import sys
from pathlib import Path

from sandbox.stack.registry import stop_recorded

if __name__ == "__main__":
    sys.stdin.read()
    stop_recorded(Path(sys.argv[1]))
