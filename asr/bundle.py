"""A trained recogniser as a folder: `model.safetensors`, `config.json`, `tokenizer.json`, a model card.

`model.onnx` is the graph of the network, `streaming.onnx` that of its steps on a stream.
Language models (`lm.safetensors`, `recurrent_lm.safetensors`), the internal language model
(`internal_lm.safetensors`) and the phone head (`phones.safetensors`, `pronunciations.json`) may stand beside them.
Tensors, ONNX and JSON only: nothing is unpickled. Weights of the acoustic model are kept in half precision and computed
with in single: that halves the size and moves log-probabilities by less than a thousandth.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from asr.acoustic.config import ModelConfig
from asr.acoustic.feature_stream import FeatureStatistics
from asr.acoustic.network import Network, Weights
from asr.acoustic.pronunciation import PronunciationDictionary
from asr.alignment.confidence import ConfidenceCalibration
from asr.alignment.ctc import WordTiming
from asr.bundle_config import FORMAT_VERSION, read_alphabet, read_config, read_json, require_bundle_folder
from asr.bundle_network import GRAPH_FILE, PHONES_FILE, STREAMING_GRAPH_FILE, WEIGHTS_FILE, load_network
from asr.decoding.build import DecodingModels
from asr.decoding.config import DecodingConfig
from asr.errors import BundleError, LanguageModelError, VocabularyError
from asr.files import replace_folder, save_tensors, write_atomically, write_bytes_atomically
from asr.lm.internal import InternalLM
from asr.lm.ngram import NGramLM
from asr.lm.recurrent import RecurrentLM
from asr.tokenizer import CharTokenizer

LM_FILE = "lm.safetensors"
RECURRENT_LM_FILE = "recurrent_lm.safetensors"
INTERNAL_LM_FILE = "internal_lm.safetensors"
PRONUNCIATIONS_FILE = "pronunciations.json"
ENGLISH_MODEL = Path(__file__).parent / "models" / "english"

_Part = TypeVar("_Part", NGramLM, InternalLM, RecurrentLM, PronunciationDictionary)


@dataclass(frozen=True, eq=False)
class Bundle:
    """A trained recogniser.

    Attributes:
        network: The acoustic model: settings, weights, phone head, graph.
        tokenizer: The alphabet of its output.
        training: How it came to be, as plain JSON data; for people to read.
        decoding: How its posteriors are decoded.
        timing: How far its tokens stand from the boundaries of words.
        confidence: How its posteriors become probabilities of being right.
        feature_statistics: What features are like before they are normalised, for streaming; `None` if not measured.
        lm: The language model of the first pass; `None` if there is none.
        internal_lm: Character bigrams of the training texts; `None` if they are not known.
        pronunciations: The phones of words, for the phone head; `None` if there is none.
        recurrent_lm: The language model of the second pass; `None` if there is none.
    """

    network: Network
    tokenizer: CharTokenizer
    training: Mapping[str, Any] = field(default_factory=dict, repr=False)
    decoding: DecodingConfig = field(default_factory=DecodingConfig)
    timing: WordTiming = field(default_factory=WordTiming)
    confidence: ConfidenceCalibration = field(default_factory=ConfidenceCalibration)
    feature_statistics: FeatureStatistics | None = field(default=None, repr=False)
    lm: NGramLM | None = field(default=None, repr=False)
    internal_lm: InternalLM | None = field(default=None, repr=False)
    pronunciations: PronunciationDictionary | None = field(default=None, repr=False)
    recurrent_lm: RecurrentLM | None = field(default=None, repr=False)

    @property
    def config(self) -> ModelConfig:
        """The settings of the acoustic model."""
        return self.network.config

    @property
    def decoding_models(self) -> DecodingModels:
        """What `build_decoder` needs beside the settings."""
        return DecodingModels(self.lm, self.internal_lm, self.pronunciations, self.recurrent_lm)


def save_bundle(folder: Path, bundle: Bundle, card: str) -> None:
    """Write a bundle and its model card, whole or not at all; one that stands there is replaced.

    Raises:
        BundleError: If something else stands there.
    """
    if (
        folder.exists()
        and not (folder / "config.json").is_file()
        and not (folder.is_dir() and not any(folder.iterdir()))
    ):
        raise BundleError(f"{folder}: exists and is no model, so it is not replaced; name a new folder")
    with replace_folder(folder) as partial:
        _write_files(partial, bundle, card)


def load_bundle(folder: Path | str, *, language_models: bool = True) -> Bundle:
    """Open a bundle.

    Args:
        folder: Where it stands.
        language_models: Whether to open what only the beam search needs: language models and pronunciations.

    Returns:
        The bundle.

    Raises:
        BundleError: If a file is missing, is of another version, holds a value out of its range, or disagrees with the
            others; the file and the key are named.
    """
    folder = require_bundle_folder(folder)
    config = read_config(folder / "config.json")
    tokenizer = read_alphabet(folder / "tokenizer.json")
    bundle = Bundle(
        network=load_network(
            folder, config.network, tokenizer.vocabulary_size, config.phones.layer if config.phones else None
        ),
        tokenizer=tokenizer,
        training=config.training,
        decoding=config.decoding,
        timing=config.timing,
        confidence=config.confidence,
        feature_statistics=config.feature_statistics,
    )
    return add_language_models(folder, bundle) if language_models else bundle


def add_language_models(folder: Path, bundle: Bundle, *, words: bool = True) -> Bundle:
    """Open what only the beam search needs: language models and pronunciations.

    Args:
        folder: Where the bundle stands.
        bundle: What `load_bundle` returned without them.
        words: Whether to open its language models of words too.

    Returns:
        The bundle with them.

    Raises:
        BundleError: If a file cannot be read, or disagrees with the others.
    """
    size = bundle.tokenizer.vocabulary_size
    phones = bundle.network.phones
    pronunciations = _load_part(folder / PRONUNCIATIONS_FILE, PronunciationDictionary.load) if phones else None
    if phones and (pronunciations is None or pronunciations.vocabulary_size != len(phones.weights["linear.bias"])):
        found = pronunciations and f"{len(pronunciations.phones)} phones"
        raise BundleError(
            f"{folder / PHONES_FILE}: names {len(phones.weights['linear.bias']) - 2} phones, but {PRONUNCIATIONS_FILE} "
            f"has {found or 'none, it is missing'}; they are not of one model"
        )
    return replace(
        bundle,
        lm=_load_part(folder / LM_FILE, NGramLM.load) if words else None,
        internal_lm=_load_part(folder / INTERNAL_LM_FILE, lambda path: InternalLM.load(path, size)),
        pronunciations=pronunciations,
        recurrent_lm=_load_part(folder / RECURRENT_LM_FILE, RecurrentLM.load) if words else None,
    )


def update_settings(
    folder: Path,
    *,
    decoding: DecodingConfig | None = None,
    timing: WordTiming | None = None,
    confidence: ConfidenceCalibration | None = None,
    feature_statistics: FeatureStatistics | None = None,
) -> None:
    """Change how a bundle on disk is used, and nothing else in it; what is not given stays.

    Args:
        folder: The bundle.
        decoding: How its posteriors are decoded.
        timing: How far its tokens stand from the boundaries of words.
        confidence: How its posteriors become probabilities of being right.
        feature_statistics: What features are like before they are normalised.

    Raises:
        BundleError: If the folder holds no bundle of this version.
    """
    config = read_json(folder / "config.json")
    given = {
        "decoding": decoding,
        "timing": timing,
        "confidence": confidence,
        "feature_statistics": feature_statistics,
    }
    config.update({name: asdict(settings) for name, settings in given.items() if settings is not None})
    _write_json(folder / "config.json", config)


def update_language_models(
    folder: Path, lm: NGramLM | None, recurrent_lm: RecurrentLM | None, *, decoding: DecodingConfig | None = None
) -> None:
    """Replace the language models of a bundle on disk, both and the settings that suit them in one step.

    Args:
        folder: The bundle.
        lm: The n-gram model; `None` leaves none.
        recurrent_lm: The recurrent one; `None` leaves none.
        decoding: How posteriors are decoded with them; as before if not given.

    Raises:
        BundleError: If the folder holds no bundle of this version.
    """
    read_json(folder / "config.json")
    target = folder.resolve()
    with replace_folder(target) as partial:
        for path in target.iterdir():
            _copy(path, partial / path.name)
        for name, model in ((LM_FILE, lm), (RECURRENT_LM_FILE, recurrent_lm)):
            (partial / name).unlink(missing_ok=True)
            if model is not None:
                model.save(partial / name)
        update_settings(partial, decoding=decoding)


def export_bundle(folder: Path) -> tuple[Path, ...]:
    """Write the ONNX graphs of a bundle on disk, which recognition on a CPU runs.

    Returns:
        The files: the graph of the network, and that of its steps on a stream.

    Raises:
        BundleError: If the bundle cannot be read, or the export differs from PyTorch.
        MissingExtraError: If the package `onnx` is not installed.
    """
    from asr.acoustic.export import export_graph, export_streaming_graph

    network = load_bundle(folder, language_models=False).network
    graphs = {GRAPH_FILE: export_graph(network), STREAMING_GRAPH_FILE: export_streaming_graph(network)}
    for name, graph in graphs.items():
        write_bytes_atomically(folder / name, graph)
    return tuple(folder / name for name in graphs)


def _write_files(folder: Path, bundle: Bundle, card: str) -> None:
    """Write the files of a bundle into an empty folder."""
    network = bundle.network
    save_tensors(folder / WEIGHTS_FILE, _halve(network.weights))
    config = {
        "format_version": FORMAT_VERSION,
        "network": asdict(network.config),
        "decoding": asdict(bundle.decoding),
        "timing": asdict(bundle.timing),
        "confidence": asdict(bundle.confidence),
        "training": dict(bundle.training),
    }
    parts = ((LM_FILE, bundle.lm), (RECURRENT_LM_FILE, bundle.recurrent_lm), (INTERNAL_LM_FILE, bundle.internal_lm))
    for name, part in (*parts, (PRONUNCIATIONS_FILE, bundle.pronunciations)):
        if part is not None:
            part.save(folder / name)
    if network.phones is not None:
        save_tensors(folder / PHONES_FILE, _halve(network.phones.weights))
        config["phones"] = {"layer": network.phones.layer}
    for name, graph in ((GRAPH_FILE, network.graph), (STREAMING_GRAPH_FILE, network.streaming_graph)):
        if graph is not None:
            write_bytes_atomically(folder / name, graph)
    if bundle.feature_statistics is not None:
        config["feature_statistics"] = asdict(bundle.feature_statistics)
    _write_json(folder / "config.json", config)
    tokenizer = {"format_version": FORMAT_VERSION, "characters": list(bundle.tokenizer.characters)}
    _write_json(folder / "tokenizer.json", tokenizer)
    write_atomically(folder / "README.md", card)


def _copy(source: Path, target: Path) -> None:
    """Put a file or folder elsewhere too; files are linked where the file system can, for all writing replaces them."""
    if source.is_dir():
        shutil.copytree(source, target)
        return
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _halve(weights: Weights) -> dict[str, Any]:
    """Convert weights to half precision."""
    return {name: np.ascontiguousarray(array, np.float16) for name, array in weights.items()}


def _load_part(path: Path, load: Callable[[Path], _Part]) -> _Part | None:
    """Open a part of a bundle, if it is there."""
    try:
        return load(path) if path.exists() else None
    except (LanguageModelError, VocabularyError) as error:
        raise BundleError(str(error)) from error


def _write_json(path: Path, fields: Mapping[str, Any]) -> None:
    """Write a JSON object for people and programs alike, whole or not at all."""
    write_atomically(path, json.dumps(fields, indent=2, ensure_ascii=False) + "\n")
