"""How long an epoch takes: the fastest of several updates, for another program may slow any single one down."""

import time
from collections.abc import Sequence

import torch

from asr.acoustic.config import ModelConfig
from asr.acoustic.model import AcousticModel, pad_waveforms
from asr.tokenizer import BLANK
from asr.units import Seconds, seconds_to_samples

_NUM_UPDATES = 6
_LETTERS_PER_SECOND = 8.0


def measure_epoch(
    network: ModelConfig, vocabulary_size: int, durations: Sequence[Seconds], max_batch_duration: Seconds
) -> Seconds:
    """Measure an epoch on the processor, from updates on one batch of noise.

    Args:
        network: The settings of the network.
        vocabulary_size: Tokens, the blank among them.
        durations: Seconds of each training utterance.
        max_batch_duration: Seconds of audio in a batch.

    Returns:
        Seconds of all updates of an epoch; reading the recordings is not in it.
    """
    torch.manual_seed(0)
    model = AcousticModel(network, vocabulary_size)
    optimizer = torch.optim.AdamW(model.parameters())
    duration = sum(durations) / len(durations)
    num_samples = seconds_to_samples(duration, network.sample_rate)
    count = max(1, int(max_batch_duration / duration))
    waveforms, lengths = pad_waveforms([0.1 * torch.randn(num_samples) for _ in range(count)])
    num_letters = max(1, int(_LETTERS_PER_SECOND * duration))
    targets = torch.randint(BLANK + 1, vocabulary_size, (count, num_letters))
    target_lengths = torch.full((count,), num_letters)
    fastest = float("inf")
    for _ in range(_NUM_UPDATES):
        start = time.perf_counter()
        log_probs, num_frames = model(waveforms, lengths)
        log_probs = log_probs.transpose(0, 1)  # (frames, batch, vocabulary)
        loss = torch.nn.functional.ctc_loss(log_probs, targets, num_frames, target_lengths, BLANK, zero_infinity=True)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        fastest = min(fastest, time.perf_counter() - start)
    return fastest * len(durations) / count
