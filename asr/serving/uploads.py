"""A form that arrives over HTTP: its fields, and its file, which has no name on the disk and so never stays there."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import BinaryIO

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from asr.serving.errors import RequestError

_MAX_FIELDS = 1100  # a thousand keywords, and the rest
_MAX_FIELD_SIZE = 2**16  # bytes
_FILE_FIELD = "file"


@dataclass(frozen=True, slots=True)
class Upload:
    """An uploaded file.

    Attributes:
        name: What its sender called it.
        file: With a descriptor; its position is of no account.
    """

    name: str
    file: BinaryIO


@dataclass(frozen=True, slots=True)
class Form:
    """What was sent.

    Attributes:
        upload: The file.
        fields: The other fields in their order, by name and value.
    """

    upload: Upload
    fields: tuple[tuple[str, str], ...]


class _NoRoomError(RequestError):
    """The disk of temporary files takes no more."""

    def __init__(self, error: OSError) -> None:
        """Say what the system says."""
        message = f"the server has no room for the file: {error.strerror}"
        super().__init__(503, message, code="no_room", retry_after=30)


@asynccontextmanager
async def receive_form(request: Request) -> AsyncGenerator[Form]:
    """Receive a form with one file.

    Args:
        request: Of the type multipart/form-data.

    Yields:
        The form; its file is gone afterwards.

    Raises:
        RequestError: If it is no such form, or the file is missing or empty.
        _NoRoomError: If the disk is full.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        found = request.headers.get("content-type") or "no content type"
        raise RequestError(400, f"the request has {found}; expected multipart/form-data", code="invalid_form")
    try:
        form = await request.form(max_files=1, max_fields=_MAX_FIELDS, max_part_size=_MAX_FIELD_SIZE)
    except HTTPException as error:
        raise RequestError(400, f"the form cannot be read: {error.detail}", code="invalid_form") from error
    except OSError as error:
        raise _NoRoomError(error) from error
    try:
        yield _read(form.multi_items())
    finally:
        await form.close()


def _read(items: list[tuple[str, UploadFile | str]]) -> Form:
    """Tell the file from the fields."""
    upload, fields = None, []
    for name, value in items:
        if isinstance(value, str):
            fields.append((name, value))
        elif name == _FILE_FIELD:
            upload = value
        else:
            raise RequestError(400, f"the file is in the field {name!r}; expected 'file'", param=name)
    if upload is None:
        message = "the form has no file, or breaks off within it; send the recording in the field 'file'"
        raise RequestError(400, message, code="missing_file", param=_FILE_FIELD)
    name = upload.filename or "the upload"
    if not upload.size:
        raise RequestError(400, f"{name}: empty file (0 bytes)", code="invalid_audio", param=_FILE_FIELD)
    try:
        upload.file.fileno()  # which moves a small one from memory to a file without a name
    except OSError as error:
        raise _NoRoomError(error) from error
    return Form(Upload(name, upload.file), tuple(fields))
