"""`POST /v1/audio/transcriptions` and `GET /v1/models`, as OpenAI's clients call them."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import final

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from asr.serving.answers import to_json, to_verbose_json, usage
from asr.serving.errors import RequestError
from asr.serving.parameters import TranscriptionParameters, read_parameters
from asr.serving.recordings import Recognition, recognize
from asr.serving.service import Service, unless_gone
from asr.serving.uploads import Upload, receive_form
from asr.transcript import Segment, Transcript
from asr.writers import WRITERS

_TEXT_TYPES = {"text": "text/plain", "srt": "application/x-subrip", "vtt": "text/vtt"}
_WRITERS = {"text": "txt", "srt": "srt", "vtt": "vtt"}


@final
class Transcriptions:
    """Recognises an uploaded recording."""

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
            parameters = read_parameters(form.fields, service.model)
            serve = self._stream if parameters.stream else self._answer
            response = await serve(request, form.upload, parameters)
            await response(scope, receive, send)

    async def _answer(self, request: Request, upload: Upload, parameters: TranscriptionParameters) -> Response:
        """Recognise a recording, and answer with the whole."""
        found = await unless_gone(request, self._service.pool.call(recognize, upload, parameters.hot_words))
        transcript = self._count(found)
        if parameters.response_format in _WRITERS:
            text = WRITERS[_WRITERS[parameters.response_format]](transcript)
            return PlainTextResponse(text, media_type=_TEXT_TYPES[parameters.response_format])
        if parameters.response_format == "verbose_json":
            return JSONResponse(to_verbose_json(transcript, self._service.model.language, parameters.granularities))
        return JSONResponse(to_json(transcript))

    async def _stream(self, request: Request, upload: Upload, parameters: TranscriptionParameters) -> Response:
        """Recognise a recording, and send each segment as it comes; what fails before the first has a status."""
        segments: asyncio.Queue[Segment | None] = asyncio.Queue()
        call = self._service.pool.call(recognize, upload, parameters.hot_words, on_item=segments.put_nowait)
        job = asyncio.create_task(call)
        job.add_done_callback(lambda _: segments.put_nowait(None))
        try:
            first = await unless_gone(request, segments.get())
            if first is None:
                job.result()  # raises what went wrong
        except BaseException:
            job.cancel()
            raise
        return StreamingResponse(self._events(first, segments, job), media_type="text/event-stream")

    async def _events(
        self, first: Segment | None, segments: "asyncio.Queue[Segment | None]", job: "asyncio.Task[Recognition]"
    ) -> AsyncIterator[str]:
        """Give the events of a transcription."""
        try:
            segment, separator = first, ""
            while segment is not None:
                yield _event({"type": "transcript.text.delta", "delta": separator + segment.text})
                segment, separator = await segments.get(), " "
            transcript = self._count(await job)
            fields = {"text": transcript.text, "usage": usage(transcript.duration)}
            yield _event({"type": "transcript.text.done", **fields})
        except RequestError as error:
            yield _event(error.to_dict())
        finally:
            job.cancel()

    def _count(self, found: Recognition) -> Transcript:
        """Count a recording."""
        self._service.metrics.count_recording(found.transcript.duration, found.work)
        return found.transcript


@final
class Models:
    """Names the model."""

    def __init__(self, service: Service) -> None:
        """Serve the model of some workers."""
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """List the names, or tell of the one in the path."""
        name = scope["path_params"].get("model")
        if name is None:
            fields: dict[str, object] = {
                "object": "list",
                "data": [self._describe(each) for each in self._service.model.names],
            }
        else:
            self._service.model.check_name(name)
            fields = self._describe(name)
        await JSONResponse(fields)(scope, receive, send)

    def _describe(self, name: str) -> dict[str, object]:
        """Describe the model by one of its names."""
        return {"id": name, "object": "model", "created": int(self._service.start), "owned_by": "asr"}


def _event(fields: dict[str, object]) -> str:
    """Lay out a server-sent event."""
    return f"data: {json.dumps(fields, ensure_ascii=False)}\n\n"
