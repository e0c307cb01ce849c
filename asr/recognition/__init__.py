"""The composed path from recordings to transcripts."""
