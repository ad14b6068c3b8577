"""A picture of a page: `python -m tests.finetune.eval.picture report.html out.png phone` (or `desk`)."""

import sys
from pathlib import Path

from tests.finetune.eval.browser import browsing

SIZES = {"phone": (390, 844), "desk": (1200, 900)}
"""In CSS pixels."""


def main(page: Path, picture: Path, device: str) -> None:
    width, height = SIZES[device]
    phone = device == "phone"
    with browsing() as tab:
        tab.size(width, height, scale=2 if phone else 1, phone=phone)
        tab.open(page)
        tab.picture(picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
