"""`POST /inspect`: how the recogniser came to the text of a recording, for the page."""

from collections.abc import Callable
from typing import Any, BinaryIO, final

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from asr.recognition.inspection import inspect_recording
from asr.recognition.recognizer import Recognizer
from asr.serving.service import Service, unless_gone
from asr.serving.uploads import receive_form


@final
class Inspections:
    """Inspects the beginning of an uploaded recording."""

    def __init__(self, service: Service) -> None:
        """Serve with some workers."""
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        service = self._service
        service.require_running()
        service.pool.require_room()  # before the whole body has come
        request = Request(scope, receive)
        async with receive_form(request) as form:
            found = await unless_gone(request, service.pool.call(inspect, form.upload))
            await JSONResponse(found)(scope, receive, send)


def inspect(recognizer: Recognizer, file: BinaryIO, emit: Callable[[object], None]) -> dict[str, Any]:
    """Inspect a recording in a worker, and return what `Inspection.to_dict` does."""
    return inspect_recording(recognizer, file).to_dict()
