"""Recordings to the statistics of their features, which streaming starts from."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from asr.acoustic.config import MFCCConfig
from asr.acoustic.feature_stream import FeatureStatistics, measure_statistics
from asr.audio import AudioSource, load_audio
from asr.bundle import load_bundle, update_settings
from asr.data.manifest import Utterance, read_manifest
from asr.errors import ManifestError

_NUM_UTTERANCES = 1000  # more move no mean by a tenth of its deviation


def update_statistics(folder: Path, manifest: Path) -> int:
    """Measure the statistics of features over a manifest, and keep them in a bundle.

    Args:
        folder: The bundle.
        manifest: Recordings like those that it was trained on.

    Returns:
        The utterances that were read.

    Raises:
        ASRError: If the bundle, the manifest or a recording cannot be read.
    """
    features = load_bundle(folder, language_models=False).config.features
    utterances = choose_utterances(read_manifest(manifest, require_text=False))
    update_settings(folder, feature_statistics=measure_recordings((each.source for each in utterances), features))
    return len(utterances)


def choose_utterances(utterances: Sequence[Utterance]) -> Sequence[Utterance]:
    """Choose as many utterances as are needed, from the beginning, the middle and the end alike."""
    return utterances[:: max(1, -(-len(utterances) // _NUM_UTTERANCES))]


def measure_recordings(sources: Iterable[AudioSource], config: MFCCConfig) -> FeatureStatistics:
    """Measure what features are like before they are normalised.

    Args:
        sources: What to measure.
        config: The settings of the front end.

    Returns:
        The statistics.

    Raises:
        AudioError: If a recording cannot be read.
        ManifestError: If no recording is as long as a frame.
    """
    try:
        return measure_statistics((load_audio(each, config.sample_rate) for each in sources), config)
    except ValueError as error:
        raise ManifestError(f"the statistics of features cannot be measured: {error}") from error
