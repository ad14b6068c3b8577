"""The journal: one JSON line a reply, written as it comes, so that a killed run loses nothing."""

import fcntl
import json
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from data.errors import UserError
from finetune.eval.ask import Reply


class Journal:
    """Replies by key. A half-written last line, left by a kill, is dropped and asked again."""

    def __init__(self, path: Path) -> None:
        self._path, self._made = path, not path.parent.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._known: dict[str, Reply] = {}
        self._file = path.open("ab", buffering=0)
        self._claim(path)
        whole = 0
        with path.open("rb") as lines:
            for line in lines:
                if not line.endswith(b"\n") or not self._remember(line):
                    break
                whole += len(line)
        # Without this the next line would be glued to the torn one.
        self._file.truncate(whole)

    def _claim(self, path: Path) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise UserError(
                f"another evaluation is writing {path}; wait for it, or choose another folder with --out."
            ) from None

    def _remember(self, line: bytes) -> bool:
        try:
            record = json.loads(line)
            self._known[record["key"]] = Reply.model_validate(record["reply"])
        except (ValueError, KeyError, TypeError, ValidationError):
            return False
        return True

    def get(self, key: str) -> Reply | None:
        return self._known.get(key)

    def add(self, key: str, model: str, task: str, sample: str, reply: Reply) -> None:
        """Keep a reply; `model`, `task` and `sample` are there for people who read the file."""
        record = {
            "key": key,
            "model": model,
            "task": task,
            "id": sample,
            "reply": reply.model_dump(mode="json", exclude_defaults=True),
        }
        self._file.write((json.dumps(record, ensure_ascii=False) + "\n").encode(errors="backslashreplace"))
        self._known[key] = reply

    def close(self) -> None:
        """Leave nothing where nothing was answered: a folder that this run made goes with the empty file."""
        if not self._path.stat().st_size:
            self._path.unlink()
            if self._made:
                with suppress(OSError):  # somebody put something in
                    self._path.parent.rmdir()
        self._file.close()
