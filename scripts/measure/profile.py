"""Where the time of recognition goes: each stage from file to text by itself, beside the whole of them.

Stages are run one after the other on one thread, over the same recordings: what a stage takes is then that of its own
work. The network runs recordings of like length together, as transcription of many files does, in both precisions.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from asr.acoustic.mfcc import compute_mfcc
from asr.acoustic.onnx_runtime import OnnxRuntime
from asr.acoustic.posteriors import Posteriors
from asr.acoustic.quantization import Precision
from asr.acoustic.runtime import find_graph
from asr.acoustic.scorer import group_by_length
from asr.audio import load_audio
from asr.bundle import Bundle, load_bundle
from asr.decoding import Hypothesis, build_decoder
from asr.recognition.assembly import Assembler
from asr.recognition.chunking import RecordingChunk
from asr.segmentation import Chunk
from asr.transcript import Segment, Transcript
from asr.writers import WRITERS, WriterOptions
from scripts.measure.yardsticks import CPU_SPEED, Measurement, Setup, time_in_turn

_FRAMES_IN_A_BATCH = 16_000  # of features: the 160 s that `asr transcribe` takes at once
_PRECISIONS: tuple[Precision, ...] = ("float32", "int8")


def measure_profile(setup: Setup) -> Iterator[Measurement]:
    """Measure every stage of recognition by the settings of the model.

    Args:
        setup: What to measure with; one thread always.

    Yields:
        The speed of each stage, with its share of all stages in single precision as the ratio.
    """
    bundle = load_bundle(setup.bundle)
    waveforms = [load_audio(path, bundle.config.sample_rate) for path in setup.paths]
    stages = _list_stages(bundle, setup, waveforms)
    times = dict(zip(stages, time_in_turn(setup.repeats, *stages.values(), clock=time.process_time), strict=True))
    whole = sum(seconds for name, seconds in times.items() if "int8" not in name)
    for name, seconds in times.items():
        yardstick = f"all stages: {setup.duration / whole:,.0f}"
        yield Measurement(name, setup.duration / max(seconds, 1e-9), CPU_SPEED, yardstick, seconds / whole)


def _list_stages(
    bundle: Bundle, setup: Setup, waveforms: Sequence[NDArray[np.float32]]
) -> dict[str, Callable[[], object]]:
    """Prepare each stage with what the stages before it give."""
    features = [compute_mfcc(waveform, bundle.config.features) for waveform in waveforms]
    graph = find_graph(bundle.network)
    runtimes = {precision: OnnxRuntime(bundle.network, graph, precision) for precision in _PRECISIONS}
    posteriors = [runtimes["float32"].run_features([each])[0] for each in features]
    stages: dict[str, Callable[[], object]] = {
        "reading": lambda: [load_audio(path, bundle.config.sample_rate) for path in setup.paths],
        "features": lambda: [compute_mfcc(waveform, bundle.config.features) for waveform in waveforms],
    }
    for precision, runtime in runtimes.items():
        stages[f"network, {precision}"] = partial(_run_batches, runtime, features)
    decoder = build_decoder(bundle.decoding, bundle.tokenizer, bundle.decoding_models)
    stages["first pass"] = lambda: [decoder.first_pass.decode(each) for each in posteriors]
    hypotheses = [decoder.first_pass.decode(each) for each in posteriors]
    for rescorer in decoder.rescorers:
        stages[f"second pass, {type(rescorer).__name__}"] = partial(rescorer.rescore, hypotheses, posteriors)
        hypotheses = rescorer.rescore(hypotheses, posteriors)
    if decoder.recombiner:
        stages["second pass, Recombiner"] = partial(decoder.recombiner.recombine, hypotheses, posteriors)
    return stages | _list_last_stages(bundle, waveforms, posteriors, hypotheses)


def _run_batches(runtime: OnnxRuntime, features: Sequence[NDArray[np.float32]]) -> None:
    """Run the network over batches of recordings of like length."""
    lengths = [len(each) for each in features]
    for group in group_by_length(lengths, _FRAMES_IN_A_BATCH, shortest=1, max_padding=runtime.max_padding):
        runtime.run_features([features[index] for index in group])


def _list_last_stages(
    bundle: Bundle,
    waveforms: Sequence[NDArray[np.float32]],
    posteriors: Sequence[Posteriors],
    hypotheses: Sequence[Sequence[Hypothesis]],
) -> dict[str, Callable[[], object]]:
    """Prepare what turns hypotheses into files."""
    assembler = Assembler(bundle)

    def assemble() -> list[Segment]:
        chunks = [RecordingChunk(0, waveform, Chunk(0.0, waveform, 0.0)) for waveform in waveforms]
        return [assembler.recognize(*each).segment for each in zip(chunks, posteriors, hypotheses, strict=True)]

    transcripts = [Transcript((segment,), segment.end, "") for segment in assemble()]
    return {
        "alignment and confidence": assemble,
        "writing srt": lambda: [WRITERS["srt"](each, WriterOptions()) for each in transcripts],
    }
