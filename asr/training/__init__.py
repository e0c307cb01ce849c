"""The Lightning side: loss, optimiser, checkpoints and bundles."""
