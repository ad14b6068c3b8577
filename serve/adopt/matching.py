"""Which modules a list of names or a regular expression means, by PEFT's rule, in bounded time."""

import json
import subprocess
import sys
from collections.abc import Collection

from data.errors import UserError, shown

MATCH_SECONDS = 10
"""A stranger's expression may take for ever on some names: it runs in a process that can be ended."""

_MATCH = (
    "import json,re,sys; given=json.load(sys.stdin); rule=re.compile(given['pattern']); "
    "json.dump([name for name in given['names'] if rule.fullmatch(name)], sys.stdout)"
)


def meant(rule: list[str] | str | None, names: Collection[str]) -> set[str]:
    """The `names` that a rule means: whole names or their last parts, or what an expression matches whole."""
    if rule is None:
        return set()
    if rule == "all-linear":
        return set(names)
    if isinstance(rule, str):
        return _matched(rule, names)
    ends = tuple(f".{one}" for one in rule)
    return {name for name in names if name in rule or name.endswith(ends)}


def _matched(pattern: str, names: Collection[str]) -> set[str]:
    asked = json.dumps({"pattern": pattern, "names": sorted(names)})
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _MATCH],
            input=asked,
            capture_output=True,
            text=True,
            timeout=MATCH_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise _no_rule(pattern, f"took more than {MATCH_SECONDS} s") from None
    if done.returncode:
        raise _no_rule(pattern, "is no regular expression")
    return set(json.loads(done.stdout))


def _no_rule(pattern: str, why: str) -> UserError:
    return UserError(
        f"adapter_config.json means modules by {shown(pattern)!r}, which {why}; write their names as a list."
    )
