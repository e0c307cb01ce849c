"""Tokens and texts are placed in time: CTC forced alignment, words, confidence."""
