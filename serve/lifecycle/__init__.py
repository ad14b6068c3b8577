"""Which versions are in the engine, and who is using them: `writer.py` is the only one to change that.

stored -> verifying -> loading -> probing -> ready -> draining -> stored, or failed with a reason, and left
alone for a while.
"""

from serve.lifecycle.admission import Bounds
from serve.lifecycle.entry import Backoff, State
from serve.lifecycle.writer import Lifecycle

__all__ = ["Backoff", "Bounds", "Lifecycle", "State"]
