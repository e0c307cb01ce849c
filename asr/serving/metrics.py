"""What the server counts, in the text format of Prometheus."""

from typing import final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from asr.units import Seconds

CONTENT_TYPE = CONTENT_TYPE_LATEST
_LATENCIES = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_REPLIES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_FACTORS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2)


@final
class Metrics:
    """Counters of one server.

    Attributes:
        queue_length: Recordings that wait for a worker.
        active_streams: Live streams.
        workers_ready: Workers that can take work.
        worker_restarts: Workers that died and were replaced.
    """

    def __init__(self) -> None:
        """Begin at zero."""
        self._registry = registry = CollectorRegistry()
        self._requests = Counter("asr_requests", "Requests by route and status", ["route", "status"], registry=registry)
        self._latency = Histogram(
            "asr_request_seconds", "Time to answer", ["route"], buckets=_LATENCIES, registry=registry
        )
        self._audio = Counter("asr_audio_seconds", "Audio recognised", ["kind"], registry=registry)
        self._factor = Histogram(
            "asr_real_time_factor", "Working time over duration of recordings", buckets=_FACTORS, registry=registry
        )
        self._reply = Histogram(
            "asr_stream_reply_seconds", "Time to work on a message", buckets=_REPLIES, registry=registry
        )
        self.queue_length = Gauge("asr_queue_length", "Recordings that wait for a worker", registry=registry)
        self.active_streams = Gauge("asr_active_streams", "Live streams", registry=registry)
        self.workers_ready = Gauge("asr_workers_ready", "Workers that can take work", registry=registry)
        self.worker_restarts = Gauge("asr_worker_restarts", "Workers that died and were replaced", registry=registry)

    def count_request(self, route: str, status: int, seconds: Seconds) -> None:
        """Count an answered request."""
        self._requests.labels(route, str(status)).inc()
        self._latency.labels(route).observe(seconds)

    def count_recording(self, duration: Seconds, work: Seconds) -> None:
        """Count a recording that was recognised, and how long that took."""
        self._audio.labels("recording").inc(duration)
        self._factor.observe(work / max(duration, 0.1))

    def count_stream_audio(self, duration: Seconds, work: Seconds) -> None:
        """Count a message of a live stream, and how long its reply took."""
        self._audio.labels("stream").inc(duration)
        self._reply.observe(work)

    def render(self) -> bytes:
        """Return all counters as text."""
        return generate_latest(self._registry)
