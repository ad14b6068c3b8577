"""Every hand-written attack, by what it tries."""

from tests.serve.hostile.configs import CONFIGS
from tests.serve.hostile.forge import Cases
from tests.serve.hostile.headers import HEADERS
from tests.serve.hostile.manifests import MANIFESTS
from tests.serve.hostile.values import FORMATS, VALUES
from tests.serve.hostile.wire import ANNOUNCEMENTS, BODIES, LINES, NAMES

CASES: Cases = {
    f"{part}: {attempt}": case
    for part, cases in {
        "config": CONFIGS,
        "manifest": MANIFESTS,
        "header": HEADERS,
        "values": VALUES,
        "format": FORMATS,
        "name": NAMES,
        "announcement": ANNOUNCEMENTS,
        "body": BODIES,
        "line": LINES,
    }.items()
    for attempt, case in cases.items()
}
