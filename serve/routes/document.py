"""GET /openapi.json: every route of this server, for those with a key."""

from typing import Any

from fastapi import APIRouter, Request

from serve.auth import Chatting

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def openapi(request: Request, key: Chatting) -> dict[str, Any]:
    """The OpenAPI document, where each route's summary is the first line of what its code says of it."""
    document: dict[str, Any] = request.app.openapi()
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["summary"] = operation["description"].partition("\n")[0].rstrip(".")
    return document
