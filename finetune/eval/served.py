"""Who answers under a name: resolved once before the first question, and checked with every answer."""

from typing import Any

from pydantic import ValidationError

from data.errors import UserError
from data.report import Adapter, Served
from finetune.eval.endpoint import Endpoint, RefusedError, SlowError

_PROBE: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1, "temperature": 0}


async def resolve(endpoint: Endpoint, names: list[str]) -> list[Served]:
    """What each name means now; UserError for one that the endpoint does not know."""
    if not names:
        raise UserError("no model is named; give at least one, as in --models base,support.")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UserError(f"model {twice[0]!r} is named twice; name each model once.")
    try:
        listed = await endpoint.models()
    except RefusedError as error:
        raise UserError(
            f"{endpoint.url} does not list its models ({error}); is it an OpenAI endpoint?"
        ) from None
    bases = [str(entry.get("id")) for entry in listed if not entry.get("parent")]
    fingerprint = await endpoint.fingerprint()
    return [await _one(endpoint, name, bases, fingerprint) for name in names]


async def _one(endpoint: Endpoint, name: str, bases: list[str], fingerprint: str | None) -> Served:
    model = name
    if name == "base" and "base" not in bases:
        if len(bases) != 1:
            listed = ", ".join(bases) or "none"
            raise UserError(
                f"`base` is not clear: {endpoint.url} lists {len(bases)} models without a parent ({listed}); "
                "name the one that you mean in --models."
            )
        model = bases[0]
    try:
        adapter = adapter_of(await endpoint.chat({"model": model, **_PROBE}))
    except RefusedError as error:
        raise UserError(f"{endpoint.url} does not answer as {model!r}: {error.message}") from None
    except SlowError:
        raise UserError(f"{endpoint.url} did not answer a one-token question as {model!r} in time.") from None
    base = bases[0] if len(bases) == 1 else model if model in bases else None
    return Served(
        name=name,
        model=f"{adapter.name}@{adapter.digest}" if adapter else model,
        adapter=adapter,
        base=base,
        fingerprint=fingerprint if base else None,
    )


def adapter_of(body: dict[str, Any]) -> Adapter | None:
    """The adapter that an answer says it came from; None for a base, or an endpoint that does not say."""
    told = body.get("adapter")
    if told is None:
        return None
    try:
        return Adapter.model_validate(told)
    except ValidationError:
        raise UserError(
            f"the endpoint describes its adapter as {told!r}; name, version, digest are needed."
        ) from None
