"""Transcription on many machines: one recogniser in each process of a Ray cluster, results on shared storage."""
