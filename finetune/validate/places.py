"""Where each record came from, by its running number: on disk, 8 bytes each in memory."""

import tempfile
from array import array


class Places:
    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="enxerto-places-")  # noqa: SIM115 (closed by `close`)
        self._ends = array("Q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, number: int) -> str:
        start, end = self._ends[number], self._ends[number + 1]
        self._file.seek(start)
        return self._file.read(end - start).decode("utf-8", "surrogateescape")

    def add(self, place: str) -> None:
        """Append the next place. Not after the first look-up, which moves the file's position."""
        # File names need not be UTF-8.
        raw = place.encode("utf-8", "surrogateescape")
        self._file.write(raw)
        self._ends.append(self._ends[-1] + len(raw))

    def close(self) -> None:
        self._file.close()
