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
            read = record(raw, chunk.format, self._settings.ignore)
            result.tally.unused.update(read.unused)
            if (one := read.conversation) is None:
                result.unreadable(read.where, read.problem, read.ends)
                continue
            if not conversations.examine(one, read.where, self._renderer, self._settings, result):
                continue
            result.places.append(read.where)
            prints.append(fingerprint(one))
            if self._settings.split:
                result.keys.append(keys_of(one))
        result.fingerprints = b"".join(prints)

    def _preferences(self, chunk: Chunk, result: Examined) -> None:
        prints, answered = [], []
        for raw in chunk.records:
            read = preference.record(raw, self._settings.ignore)
            result.tally.unused.update(read.unused)
            if (one := read.preference) is None:
                result.unreadable(read.where, read.problem, read.ends)
                continue
            if not preferences.examine(one, read.where, self._renderer, self._settings, result):
                continue
            result.places.append(read.where)
            prints.append(fingerprint(preferences.whole(one)))
            answered.append(fingerprint(one.answered(one.chosen)))
            if self._settings.split:
                result.keys.append(keys_of(one.asked()))
        result.fingerprints, result.answered = b"".join(prints), b"".join(answered)
