"""Slow down in proportion, and no more, when something else wants a core."""

import os

SPINS = "3000"
"""How often OpenMP's threads look for their next piece of work before they sleep.

By default they look for as long as it takes. Once anything else wants a core, they keep each other from
the work that they wait for: training beside busy processes took ten times as long as with this. Not to
look at all costs a third of the speed of a single stream.
"""


def share_cores() -> None:
    """Set it for this process, which loads torch later, and for its children, unless somebody has."""
    os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
