"""The parts of `scripts/study_cells.py`: what is compared, how it is trained and measured, and the page about it."""
