"""What a label says besides a token; without torch, which a process that only writes rows need not import."""

IGNORED = -100
"""The label of what is not learned from, as torch's own losses have it."""
