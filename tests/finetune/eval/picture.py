"""A picture of a page on a phone: `python -m tests.finetune.eval.picture report.html phone.png`."""

import sys
from pathlib import Path

from tests.finetune.eval.browser import browsing


def main(page: Path, picture: Path) -> None:
    with browsing() as tab:
        tab.size(390, 844, scale=2, phone=True)
        tab.open(page)
        tab.picture(picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
