"""The parts of `scripts/benchmark.py`: each yields figures beside yardsticks measured in the same run."""
