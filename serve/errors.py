"""How mistakes leave the server: always OpenAI's error object, with a `code` that stays."""

import logging
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from data import mistakes
from data.errors import UserError, shown
from serve import request_ids
from serve.doors import elsewhere
from serve.registry.records import (
    AliasMoved,
    DamagedBlob,
    GateClosed,
    InUse,
    MissingBlob,
    NotServable,
    OffsetMoved,
    StorageBusy,
    StorageFull,
    UnknownAdapter,
    UnknownKey,
    UnknownUpload,
    UploadBusy,
    UploadIncomplete,
)

_ANSWERS: dict[type[UserError], tuple[int, str]] = {
    UnknownAdapter: (404, "model_not_found"),
    AliasMoved: (409, "alias_moved"),
    GateClosed: (409, "gate_closed"),
    NotServable: (409, "adapter_not_servable"),
    UnknownUpload: (404, "upload_not_found"),
    UploadBusy: (409, "upload_busy"),
    UploadIncomplete: (409, "upload_incomplete"),
    OffsetMoved: (409, "upload_offset"),
    InUse: (409, "version_in_use"),
    UnknownKey: (404, "key_not_found"),
    MissingBlob: (410, "bytes_gone"),
    DamagedBlob: (500, "bytes_damaged"),
    StorageBusy: (503, "storage_busy"),
    StorageFull: (507, "storage_full"),
    UserError: (400, "invalid_request"),
}
"""Status and code of the errors that know nothing of HTTP; the first class that fits answers."""


MAX_PATH = 200
"""Characters of a path that is no route, in which what was meant is looked for."""

RETRY_SECONDS = 2
"""What `Retry-After` says where the same request may succeed in a moment."""

log = logging.getLogger(__name__)


class ApiError(UserError):
    """A UserError that knows its HTTP answer; `param` is the field of the request at fault."""

    def __init__(
        self,
        message: str,
        status: int = 400,
        code: str = "invalid_request",
        param: str | None = None,
        type: str = "invalid_request_error",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.headers = headers
        self.status = status
        self.code = code
        self.param = param
        self.type = type

    def body(self) -> dict[str, dict[str, str | None]]:
        """OpenAI's error object."""
        return {"error": {"message": str(self), "type": self.type, "param": self.param, "code": self.code}}


INTERNAL = ApiError(
    "The server failed on this request; its log says why.",
    status=500,
    code="internal_error",
    type="server_error",
)
"""Every exception that nobody expected."""


def install(app: FastAPI) -> None:
    """Give the app one answer for each kind of exception, so that no handler needs a try."""
    app.add_exception_handler(UserError, _user_error)
    app.add_exception_handler(OSError, _disk)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _no_such_route)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _unexpected)


def known(error: UserError) -> ApiError:
    """Any UserError with its HTTP answer."""
    if isinstance(error, ApiError):
        return error
    status, code = next(entry for kind, entry in _ANSWERS.items() if isinstance(error, kind))
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return ApiError(str(error), status, code, type=kind)


def answer(error: UserError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Any UserError as an HTTP answer."""
    told = known(error)
    retry = {"retry-after": str(RETRY_SECONDS)} if told.status in (429, 503) else {}
    own = {**retry, **(told.headers or {}), **(headers or {})}
    return JSONResponse(told.body(), told.status, headers=own)


async def _user_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, UserError)
    if isinstance(error, UnknownAdapter):
        error = error.told(request.state.key.reaches)
    return answer(error)


async def _disk(request: Request, error: Exception) -> JSONResponse:
    """A full disk is said as such; any other OSError is this server's fault, and goes to the log."""
    assert isinstance(error, OSError)
    if full := StorageFull.of(error):
        return answer(full)
    log.error("%s %s failed", request.method, shown(request.url.path), exc_info=error)
    return await _unexpected(request, error)


async def _malformed(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    # The first part says body, path or query. Among the others are keys that a client made up.
    param = shown(".".join(str(part) for part in first["loc"][1:]))
    message = f"{param or 'The request'}: {mistakes.what(first)}."
    return answer(ApiError(message, code="invalid_request", param=param or None))


async def _no_such_route(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    phrase = HTTPStatus(error.status_code).phrase
    path = shown(request.url.path)
    way = elsewhere(request.url.path[:MAX_PATH]) or "see /openapi.json"
    message = f"{phrase}: {request.method} {path} is no route of this server; {way}."
    if error.status_code not in (404, 405):
        message = f"{error.detail}."
    return answer(ApiError(message, status=error.status_code, code=code), error.headers)


async def _gone(_: Request, __: Exception) -> JSONResponse:
    # Nobody reads this; without it every client that hangs up would fill the log with a traceback.
    return answer(ApiError("The client closed the connection.", code="client_disconnected"))


async def _unexpected(_: Request, __: Exception) -> JSONResponse:
    # Starlette raises the exception again once this is sent, and the HTTP server logs its traceback.
    # This answer passes by the middleware that gives all others their request's id.
    return answer(INTERNAL, {request_ids.HEADER: request_ids.current.get()})
