"""The acoustic model: waveforms become log-probabilities of characters and phones."""
