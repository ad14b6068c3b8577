"""Training and held-out side, decided for whole groups of conversations by a seeded hash.

A conversation's group is its `group`, else its `id` (which groups samples of one origin), else its content.
A group falls to the held-out side where the hash of seed and group, read as a fraction, is below the share:
it does not depend on what else there is, so adding data moves no old conversation. Groups that hold the same
conversation count as one, under the name that sorts first, because nothing learnt may be held out; only new
data that ties two old groups together so can move one of them.
"""

import hashlib

from data import digest
from data.chat import Conversation

Keys = tuple[str, bytes]
"""A conversation's group, and the digest of its content."""


def keys_of(conversation: Conversation) -> Keys:
    """What a split needs to know of a conversation."""
    content = digest.of_json(conversation.plain())
    return group_of(conversation) or content, bytes.fromhex(content.removeprefix("sha256:"))


class Split:
    """Collects conversations with `add`, and then tells the side of each.

    Holds a few hundred bytes a group, and no conversation.
    """

    def __init__(self, share: float, seed: int) -> None:
        self.share, self.seed = share, seed
        self._parents: dict[str, str] = {}
        self._holders: dict[bytes, str] = {}

    def add(self, keys: Keys) -> str:
        """Take a conversation into account by its `keys_of`; its group, to be asked for in the end."""
        group, content = keys
        self._parents.setdefault(group, group)
        holder = self._holders.setdefault(content, group)
        one, other = self._root(holder), self._root(group)
        self._parents[max(one, other)] = min(one, other)
        return group

    def held_out(self, group: str) -> bool:
        """Whether a group that `add` returned is on the held-out side."""
        text = f"{self.seed}\n{self._root(group)}"
        drawn = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
        return drawn < self.share * 2**64

    def _root(self, group: str) -> str:
        while (parent := self._parents[group]) != group:
            self._parents[group] = self._parents[parent]  # halves the way for the next time
            group = parent
        return group


def group_of(conversation: Conversation) -> str | None:
    """The group that a conversation names, or None where its content is its group."""
    if conversation.group is not None:
        return f"group {conversation.group}"
    return f"id {conversation.id}" if conversation.id is not None else None
