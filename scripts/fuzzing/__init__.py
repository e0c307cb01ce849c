"""Damaged files for everything that reads files.

Whatever a file holds, the outcome is success or an `ASRError` of one line, within 2 s of processor time and 300 MB.
"""
