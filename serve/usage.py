"""Every stream says to this server how many tokens it had, and to its client only where that asked."""

import json
from typing import Any


def ask_for_usage(body: dict[str, Any]) -> bool:
    """Have the engine end a stream with its usage; True where the client did not ask for it."""
    options = body.get("stream_options")
    if body.get("stream") is not True or not isinstance(options, dict | None):
        return False  # no stream, or one for the engine to refuse
    asked = bool(options and options.get("include_usage"))
    body["stream_options"] = {**(options or {}), "include_usage": True}
    return not asked


class HiddenUsage:
    """A stream as it would be without its usage.

    The engine then puts its `system_fingerprint` into the chunks that end a choice, so those wait for it;
    where there is one choice it comes at once.
    """

    def __init__(self) -> None:
        self._ends: list[str] = []

    def pass_on(self, event: str, chunk: dict[str, Any] | None) -> list[str]:
        """What the client gets for this event; `chunk` is what it holds, None for one without any."""
        choices = chunk.get("choices") if chunk else None
        if choices and any(choice.get("finish_reason") for choice in choices):
            self._ends.append(event)
            return []
        if choices:
            return [event]
        ends, self._ends = self._ends, []
        if choices is None:
            return [*ends, event]
        fingerprint = chunk.get("system_fingerprint") if chunk else None
        if fingerprint is None:
            return ends
        field = f',"system_fingerprint":{json.dumps(fingerprint)}}}\n\n'
        return [end.removesuffix("}\n\n") + field for end in ends]
