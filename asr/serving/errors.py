"""What a request failed of: a status, a line for the client, and the shape of errors in OpenAI's API."""

from typing import Any

from asr.errors import ASRError
from asr.units import Seconds

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class RequestError(ASRError):
    """A request that cannot be served.

    Attributes:
        status: The status of HTTP.
        code: A word for programs, such as `invalid_audio`.
        param: The parameter that is wrong; `None` if it is none.
        retry_after: Seconds after which to try again; `None` if that does not help.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str = "invalid_request",
        param: str | None = None,
        retry_after: Seconds | None = None,
    ) -> None:
        """Describe the failure."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.retry_after = retry_after

    @property
    def kind(self) -> str:
        """The type of the error, as OpenAI's API names it."""
        return _TYPES.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")

    def to_dict(self) -> dict[str, Any]:
        """Return the error as OpenAI's API shows one."""
        return {"error": {"message": str(self), "type": self.kind, "param": self.param, "code": self.code}}

    def headers(self) -> dict[str, str]:
        """Return what belongs to the error in the head of a response."""
        headers = {} if self.retry_after is None else {"retry-after": f"{max(1, round(self.retry_after))}"}
        return headers | ({"www-authenticate": "Bearer"} if self.status == 401 else {})


class ParameterError(RequestError):
    """A parameter that cannot be served."""

    def __init__(self, param: str, message: str) -> None:
        """Name the parameter."""
        super().__init__(400, message, code="unsupported_parameter", param=param)
