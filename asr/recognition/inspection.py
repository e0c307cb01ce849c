"""How a recording becomes its text, step by step: the features, the posteriors, the path, and what else was possible.

For people who want to see what a recogniser does. A recording of many minutes has too much to look at, so only its
beginning is inspected, in one piece.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr.acoustic.config import ModelConfig
from asr.acoustic.mfcc import compute_mfcc
from asr.acoustic.silence import Sound, insert_frames, leave_out_silence
from asr.alignment.ctc import align
from asr.audio import AudioSource, stream_audio
from asr.decoding import Hypothesis
from asr.decoding.greedy import GreedyDecoder
from asr.errors import AudioError
from asr.recognition.recognizer import Recognizer
from asr.tokenizer import BLANK, CharTokenizer
from asr.transcript import Alternative
from asr.units import Seconds, seconds_to_samples

MAX_DURATION: Seconds = 20.0

_MAX_ALTERNATIVES = 10
_MFCC_DECIMALS, _POSTERIOR_DECIMALS = 3, 4  # more than a picture can show


@dataclass(frozen=True, slots=True, eq=False)
class Inspection:
    """What a recogniser makes of a recording.

    Attributes:
        mfcc: Normalised features that the network was given, shape `(feature_frames, num_features)`; zeros in silence.
        silence: Start and end, in seconds, of each stretch of silence that it was not given.
        posteriors: The probability of each token in each frame, shape `(frames, vocabulary_size)`.
        alphabet: The text of each token; the first is the blank, with none.
        frame_shift: Seconds from one frame of the posteriors to the next.
        path: The token of each frame on the likeliest path that spells the text, shape `(frames,)`.
        greedy: What the likeliest token of each frame spells.
        alternatives: What the decoder found, best first; the first is the text.
    """

    mfcc: NDArray[np.float32]
    silence: tuple[tuple[Seconds, Seconds], ...]
    posteriors: NDArray[np.float32]
    alphabet: tuple[str, ...]
    frame_shift: Seconds
    path: NDArray[np.int64]
    greedy: str
    alternatives: tuple[Alternative, ...]

    @property
    def text(self) -> str:
        """What was recognised."""
        return self.alternatives[0].text

    def to_dict(self) -> dict[str, Any]:
        """Return the inspection as JSON data, rounded to what can be seen."""
        return {
            "mfcc": [[round(value, _MFCC_DECIMALS) for value in frame] for frame in self.mfcc.tolist()],
            "silence": [list(stretch) for stretch in self.silence],
            "posteriors": [
                [round(value, _POSTERIOR_DECIMALS) for value in frame] for frame in self.posteriors.tolist()
            ],
            "alphabet": list(self.alphabet),
            "frame_shift": self.frame_shift,
            "path": self.path.tolist(),
            "greedy": self.greedy,
            "text": self.text,
            "alternatives": [{"text": each.text, "score": each.score} for each in self.alternatives],
        }


def inspect_recording(recognizer: Recognizer, source: AudioSource) -> Inspection:
    """Inspect the first 20 s of a recording.

    Args:
        recognizer: What recognises.
        source: A path, a binary file object or an `AudioExcerpt`.

    Returns:
        All that can be shown. There are 10 alternatives at most, as many as the decoder compares at its end.

    Raises:
        AudioError: If the recording cannot be read or is too short.
    """
    config, tokenizer = recognizer.bundle.config, recognizer.bundle.tokenizer
    waveform = _read_beginning(source, config.sample_rate)
    if len(waveform) < config.min_num_samples:
        name = getattr(source, "name", source)
        raise AudioError(
            f"{name}: has {len(waveform)} samples at {config.sample_rate} Hz, and the model needs "
            f"{config.min_num_samples}; give a longer recording"
        )
    sound = leave_out_silence(waveform, config)
    scored = recognizer.scorer.score_recording(waveform)
    [hypotheses] = recognizer.decoder.decode([scored])
    [greedy] = GreedyDecoder().decode(scored)
    return Inspection(
        mfcc=_compute_features(sound, config),
        silence=tuple((first * config.frame_shift, last * config.frame_shift) for first, last in sound.left_out),
        posteriors=np.exp(scored.log_probs),
        alphabet=("", *tokenizer.characters),
        frame_shift=config.frame_shift,
        path=_find_path(scored.log_probs, hypotheses[0]),
        greedy=_spell(greedy, tokenizer),
        alternatives=tuple(_list_alternatives(hypotheses, tokenizer)),
    )


def _read_beginning(source: AudioSource, sample_rate: int) -> NDArray[np.float32]:
    """Read as much of a recording as is inspected, and no more of it than that takes."""
    wanted = seconds_to_samples(MAX_DURATION, sample_rate)
    blocks, position = [np.empty(0, np.float32)], 0
    for block in stream_audio(source, sample_rate, block_duration=MAX_DURATION / 4):
        blocks.append(block[: wanted - position])
        position += len(block)
        if position >= wanted:
            break
    return np.concatenate(blocks)


def _compute_features(sound: Sound, config: ModelConfig) -> NDArray[np.float32]:
    """Compute what the network is given of a sound, with zeros where it is given nothing."""
    features = compute_mfcc(sound.waveform, config.features)
    lengths = [(last - first) * config.subsampling for first, last in sound.left_out]
    end = len(features) + sum(lengths)  # the last frame of the network may lack features
    ends = [min(last * config.subsampling, end) for _, last in sound.left_out]
    left_out = [(last - length, last) for last, length in zip(ends, lengths, strict=True)]
    return insert_frames(features, left_out, np.zeros(features.shape[1], np.float32))


def _find_path(log_probs: NDArray[np.float32], hypothesis: Hypothesis) -> NDArray[np.int64]:
    """Find the likeliest path that spells a hypothesis."""
    path = np.full(len(log_probs), BLANK, dtype=np.int64)
    for span in align(log_probs, hypothesis.tokens):
        path[span.start : span.end] = span.token
    return path


def _list_alternatives(hypotheses: list[Hypothesis], tokenizer: CharTokenizer) -> Iterator[Alternative]:
    """List the best hypotheses as texts, each once."""
    texts: set[str] = set()
    for hypothesis in hypotheses:
        text = _spell(hypothesis, tokenizer)
        if text not in texts and len(texts) < _MAX_ALTERNATIVES:
            texts.add(text)
            yield Alternative(text, hypothesis.score)


def _spell(hypothesis: Hypothesis, tokenizer: CharTokenizer) -> str:
    """Spell a hypothesis as words with single spaces."""
    return " ".join(tokenizer.join(hypothesis.tokens).split())
