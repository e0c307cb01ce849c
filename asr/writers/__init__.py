"""Transcripts to text formats: each writer is a pure function, and `WRITERS` names them all."""

from asr.writers.formats import WRITERS, Writer
from asr.writers.options import WriterOptions

__all__ = ["WRITERS", "Writer", "WriterOptions"]
