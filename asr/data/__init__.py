"""From manifests on disk to batches of waveforms and targets."""
