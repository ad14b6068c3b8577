"""Examine records, whichever their kind. One `Examiner` lives in each process."""

from data.duplicates import fingerprint
from data.formats import preference, record
from data.splits import keys_of
from finetune.render import Renderer, open_renderer
from finetune.validate import conversations, preferences
from finetune.validate.chunk import Chunk, Examined, Settings


class Examiner:
    def __init__(self, settings: Settings) -> None:
        self._renderer: Renderer | None = open_renderer(settings.base) if settings.base else None
        self._settings = settings

    def chunk(self, chunk: Chunk) -> Examined:
        """Examine records in their order."""
        result = Examined()
        result.tally.records = len(chunk.records)
        if chunk.kind == "preference":
            self._preferences(chunk, result)
        else:
            self._conversations(chunk, result)
        return result

    def _conversations(self, chunk: Chunk, result: Examined) -> None:
        prints = []
        for raw in chunk.records:
            one = record(raw, chunk.format)
            if one.conversation is None:
                _unreadable(one.where, one.problem, result)
                continue
            conversations.examine(one.conversation, one.where, self._renderer, self._settings, result)
            result.places.append(one.where)
            prints.append(fingerprint(one.conversation))
            if self._settings.split:
                result.keys.append(keys_of(one.conversation))
        result.fingerprints = b"".join(prints)

    def _preferences(self, chunk: Chunk, result: Examined) -> None:
        prints, answered = [], []
        for raw in chunk.records:
            read = preference.record(raw)
            if (one := read.preference) is None:
                _unreadable(read.where, read.problem, result)
                continue
            preferences.examine(one, raw.where, self._renderer, self._settings, result)
            result.places.append(raw.where)
            prints.append(fingerprint(preferences.whole(one)))
            answered.append(fingerprint(one.answered(one.chosen)))
            if self._settings.split:
                result.keys.append(keys_of(one.asked()))
        result.fingerprints, result.answered = b"".join(prints), b"".join(answered)


def _unreadable(where: str, problem: str | None, result: Examined) -> None:
    result.tally.dropped["cannot be read"] += 1
    result.note("unreadable", where, problem or "it cannot be read; mend it.")
