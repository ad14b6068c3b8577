"""Paths that clients call here: with a slash too many, or of other APIs, and where Chat Completions is."""

from starlette.types import ASGIApp, Receive, Scope, Send

CHAT = "/v1/chat/completions"
HERE = f"Chat Completions is here, as POST {CHAT}"

_RESPONSES = f"there is no Responses API; {HERE}, so choose that in the client's settings"
_COMPLETIONS = f"there are no completions without a chat; {HERE}, with the prompt as a user message"
_EMBEDDINGS = f"this model answers and embeds nothing; {HERE}"
_ANTHROPIC = f"there is no Messages API of Anthropic's; {HERE}"
_OLLAMA = f"this is no Ollama; choose an OpenAI-compatible server in the client's settings: {HERE}"
_CHAT = f"{HERE}; set the client's base URL to end in /v1"

DOORS: dict[str, str] = {
    "chat/completions": _CHAT,
    "responses": _RESPONSES,
    "completions": _COMPLETIONS,
    "embeddings": _EMBEDDINGS,
    "messages": _ANTHROPIC,
    "messages/count_tokens": _ANTHROPIC,
    "complete": _ANTHROPIC,
    "completion": _COMPLETIONS,
    "infill": _COMPLETIONS,
    "generate": f"nothing generates without a chat; {HERE}",
    "invocations": HERE,
    "api/chat": _OLLAMA,
    "api/generate": _OLLAMA,
    "api/tags": f"{_OLLAMA}, and GET /v1/models lists the models",
    "api/show": f"{_OLLAMA}, and GET /v1/models lists the models",
    "api/version": _OLLAMA,
    "api/embed": _EMBEDDINGS,
    "api/embeddings": _EMBEDDINGS,
    "models": "GET /v1/models lists the models",
    "rerank": f"this model answers and ranks nothing; {HERE}",
    "moderations": f"this model answers and judges nothing; {HERE}",
    "images/generations": f"this model reads and writes text alone; {HERE}",
    "audio/transcriptions": f"this model reads and writes text alone; {HERE}",
    "audio/speech": f"this model reads and writes text alone; {HERE}",
    "files": f"files are not kept; {HERE}",
    "batches": f"there are no batches; {HERE}, and many requests may be sent at a time",
    "assistants": f"there are no assistants; {HERE}",
    "threads": f"there are no threads; {HERE}, with the conversation in messages",
    "realtime": f"this model reads and writes text alone; {HERE}",
}
"""By how the path begins, behind what clients put before it (`BEFORE`)."""


BEFORE = frozenset({"v1", "v2", "openai", "api", "beta"})
"""What clients put before an API's own path."""


def elsewhere(path: str) -> str | None:
    """Return what to do instead of calling a path that is no route; None where nothing is known of it."""
    if path == CHAT:
        return "send a POST"
    parts = [part for part in path.split("/") if part]
    if "deployments" in parts and parts[-2:] == ["chat", "completions"]:  # Azure's
        return _CHAT
    for start in range(len(parts)):
        # `responses/ID/cancel` is of the same API as `responses`.
        for end in range(len(parts), start, -1):
            if (known := DOORS.get("/".join(parts[start:end]))) is not None:
                return known
        if parts[start] not in BEFORE:
            break
    return None


class Unslashed:
    """ASGI middleware: a path with a slash behind it means the one without."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and len(scope["path"]) > 1:
            scope["path"] = scope["path"].removesuffix("/")
        await self._app(scope, receive, send)
