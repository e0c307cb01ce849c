"""Whole files of every kind that is read, small and made here: what the mutators damage."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from asr.acoustic.config import MFCCConfig, ModelConfig
from asr.acoustic.network import Network, PhoneOutput
from asr.acoustic.pronunciation import PronunciationDictionary
from asr.bundle import Bundle, save_bundle
from asr.lm.internal import InternalLM
from asr.lm.packing import quantize_rows
from asr.lm.recurrent import RecurrentLM, RecurrentLMConfig
from asr.lm.training import NGramTraining, train_ngram_lm
from asr.tokenizer import CharTokenizer

_TEXTS = ("a cab", "a bad cab", "dad a cab", "bad dad")
_FORMATS = ("WAV", "WAVEX", "W64", "RF64", "AIFF", "AU", "CAF", "FLAC", "OGG", "MP3", "AVR", "NIST", "VOC")
_FILMS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("mp4", "aac", {}),
    ("mp4", "aac", {"movflags": "frag_keyframe+empty_moov", "frag_duration": "100000"}),
    ("matroska", "pcm_s16le", {}),
    ("webm", "libopus", {}),
    ("avi", "pcm_s16le", {}),
    ("flv", "aac", {}),
    ("adts", "aac", {}),
    ("mpegts", "aac", {}),
)
_RATE = 8_000


def write_bundle(folder: Path) -> Path:
    """Write a whole bundle with random weights and every part that a bundle may have.

    Args:
        folder: Where to work.

    Returns:
        The bundle.
    """
    rng = np.random.default_rng(0)
    tokenizer = CharTokenizer((" ", "a", "b", "c", "d"))
    config = ModelConfig(MFCCConfig(n_mels=20, n_mfcc=13), conv_channels=4, num_layers=1, hidden_size=3)
    weights = {
        name: rng.normal(size=shape).astype(np.float32)
        for name, shape in config.weight_shapes(tokenizer.vocabulary_size).items()
    }
    phones = {"linear.weight": np.ones((4, config.layer_size), np.float32), "linear.bias": np.ones(4, np.float32)}
    (folder / "text.txt").write_text("\n".join(_TEXTS), encoding="utf-8")
    lm = train_ngram_lm([folder / "text.txt"], folder / "lm.arpa", NGramTraining(order=3)).lm
    shape = RecurrentLMConfig(16, 4, (4,))
    tensors: dict[str, NDArray[Any]] = {}
    for name, size in shape.weight_shapes(len(lm.words)).items():
        tensors |= quantize_rows(name, rng.normal(size=size).astype(np.float32))
    bundle = Bundle(
        Network(config, weights, PhoneOutput(1, phones)),
        tokenizer,
        training={"epoch": 3, "data": {"hours": 1.5}},
        lm=lm,
        internal_lm=InternalLM.from_texts(_TEXTS, tokenizer),
        pronunciations=PronunciationDictionary(("B", "K"), {"cab": "K B", "bad": "B"}),
        recurrent_lm=RecurrentLM(shape, lm.words, tensors),
    )
    save_bundle(folder / "bundle", bundle, "# A model for tests\n")
    return folder / "bundle"


def make_audio(folder: Path) -> list[bytes]:
    """Write half a second of a tone in every form that libsndfile writes."""
    tone = 0.3 * np.sin(np.arange(_RATE // 2) / 3)
    contents = []
    for name in _FORMATS:
        for channels in (1, 2):
            path = folder / f"seed.{name.lower()}"
            soundfile.write(path, np.repeat(tone[:, None], channels, 1), _RATE, format=name)
            contents.append(path.read_bytes())
    soundfile.write(folder / "seed.opus", tone, _RATE, format="OGG", subtype="OPUS")
    return [*contents, (folder / "seed.opus").read_bytes()]


def make_films(folder: Path) -> list[bytes]:
    """Write half a second of a tone in containers that PyAV alone reads, each once and joined to itself."""
    import av

    rate = 48_000
    tone = (0.3 * np.sin(np.arange(rate // 2) / 18)).astype(np.float32)
    contents = []
    for container, codec, options in _FILMS:
        path = folder / f"seed.{container}"
        with av.open(str(path), "w", format=container, options=options) as file:
            stream: Any = file.add_stream(codec, rate=rate)  # the types do not tell that it is of audio
            stream.layout = "mono"
            frame = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = rate, 0
            converter = av.AudioResampler(stream.codec_context.codec.audio_formats[0].name, "mono", rate)
            for converted in [*converter.resample(frame), None]:
                for packet in stream.encode(converted):
                    file.mux(packet)
        contents += [path.read_bytes(), 2 * path.read_bytes()]
    return contents


def make_manifest() -> bytes:
    """Return a manifest with every key that is known."""
    first = {"audio_filepath": "a.wav", "duration": 1.5, "text": "a cab", "speaker": "s", "corpus": "c"}
    second = {"audio_filepath": "/far/b.flac", "duration": 2, "text": "é", "utterance_id": "u", "offset": 0.5}
    return f"{json.dumps(first)}\n{json.dumps(second, ensure_ascii=False)}\n".encode()


def make_report() -> bytes:
    """Return a report as `asr evaluate --report` writes it, as far as a comparison reads it."""
    words = {"hits": 1, "substitutions": 1, "deletions": 0, "insertions": 0}
    utterance: dict[str, Any] = {
        "utterance_id": "u",
        "corpus": "c",
        "reference": "a cab",
        "hypothesis": "a car",
        "words": words,
    }
    utterance["steps"] = [["=", "a", "a"], ["~", "cab", "car"]]
    return json.dumps({"format_version": 1, "about": {"model": "m"}, "utterances": [utterance]}).encode()


HOT_WORDS = b"cab:5\nbad dad:3.5\nanna\n# a comment\nice cream: 2\n"
DICTIONARY = b";;; a comment\nCAB  K AE1 B\nBAD  B AE1 D\nBAD(2)  B AH0 D\n"
TABLE = b'path,sentence,speaker\na.wav,a cab,s1\nb.wav,"bad, dad",s2\n'
