"""The protocols of uvicorn, without patience for clients that neither send a request nor take what they are sent.

A connection whose client reads nothing is aborted: to close it in order would mean to wait until it reads.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from asr.units import Seconds


class _Impatience(asyncio.Protocol):
    """Gives up a client that does not take what it is sent."""

    timeout: Seconds
    loop: asyncio.AbstractEventLoop
    transport: Any

    def connection_made(self, transport: Any) -> None:
        """Notice at once that the client does not read."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)

    def pause_writing(self) -> None:
        """Wait for the client to read."""
        super().pause_writing()
        self._giving_up = self.loop.call_later(self.timeout, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on, for the client has read."""
        super().resume_writing()
        self._giving_up.cancel()


def impatient_http(timeout: Seconds) -> type[H11Protocol]:
    """Make HTTP/1.1 with a limit on the time for a request head, and for the client to read.

    Args:
        timeout: The limit.

    Returns:
        The class.
    """

    class ImpatientHTTP(_Impatience, H11Protocol):
        """HTTP/1.1 with limits."""

        def connection_made(self, transport: Any) -> None:
            """Begin to wait."""
            super().connection_made(transport)
            self.loop.call_later(timeout, self._check_head, None)

        def _check_head(self, last_cycle: object) -> None:
            """Close the connection if a head was begun, or is the first, and none was finished since the last check."""
            if self.transport.is_closing() or self.transport.get_protocol() is not self:
                return
            is_late = self.cycle is None or (self.cycle is last_cycle and bool(self.conn.trailing_data[0]))
            if is_late and self.conn.their_state is h11.IDLE:
                self.transport.close()
            else:
                self.loop.call_later(timeout, self._check_head, self.cycle)

    ImpatientHTTP.timeout = timeout
    return ImpatientHTTP


def impatient_websocket(timeout: Seconds) -> type[WebSocketsSansIOProtocol]:
    """Make WebSockets with a limit on the time for the client to read.

    Args:
        timeout: The limit.

    Returns:
        The class.
    """

    class ImpatientWebSocket(_Impatience, WebSocketsSansIOProtocol):
        """WebSocket with a limit."""

    ImpatientWebSocket.timeout = timeout
    return ImpatientWebSocket
