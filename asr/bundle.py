"""A trained recogniser as a folder: `model.safetensors`, `model.onnx`, `config.json`, `tokenizer.json`, a model card.

Language models (`lm.safetensors`, `recurrent_lm.safetensors`), the internal language model
(`internal_lm.safetensors`) and the phone head (`phones.safetensors`, `pronunciations.json`) may stand beside them.
Tensors, ONNX and JSON only: nothing is unpickled. Weights of the acoustic model are kept in half precision and computed
with in single: that halves the size and moves log-probabilities by less than a thousandth.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, TypeVar

import numpy as np

from asr.acoustic.config import MFCCConfig, ModelConfig
from asr.acoustic.network import Network, PhoneOutput, Weights
from asr.acoustic.pronunciation import PronunciationDictionary
from asr.alignment.confidence import ConfidenceCalibration
from asr.alignment.ctc import WordTiming
from asr.decoding.build import DecodingModels
from asr.decoding.config import DecodingConfig
from asr.errors import BundleError, LanguageModelError, TensorFileError, VocabularyError
from asr.files import load_tensors, save_tensors, write_atomically, write_bytes_atomically
from asr.lm.internal import InternalLM
from asr.lm.ngram import NGramLM
from asr.lm.recurrent import RecurrentLM
from asr.tokenizer import CharTokenizer

FORMAT_VERSION = 1
WEIGHTS_FILE = "model.safetensors"
GRAPH_FILE = "model.onnx"
LM_FILE = "lm.safetensors"
RECURRENT_LM_FILE = "recurrent_lm.safetensors"
INTERNAL_LM_FILE = "internal_lm.safetensors"
PHONES_FILE = "phones.safetensors"
PRONUNCIATIONS_FILE = "pronunciations.json"
ENGLISH_MODEL = Path(__file__).parent / "models" / "english"

_Part = TypeVar("_Part", NGramLM, InternalLM, RecurrentLM, PronunciationDictionary)
_Settings = TypeVar("_Settings", DecodingConfig, WordTiming, ConfidenceCalibration)


@dataclass(frozen=True)
class Bundle:
    """A trained recogniser.

    Attributes:
        network: The acoustic model: settings, weights, phone head, graph.
        tokenizer: The alphabet of its output.
        training: How it came to be, as plain JSON data; for people to read.
        decoding: How its posteriors are decoded.
        timing: How far its tokens stand from the boundaries of words.
        confidence: How its posteriors become probabilities of being right.
        lm: The language model of the first pass; `None` if there is none.
        internal_lm: Character bigrams of the training texts; `None` if they are not known.
        pronunciations: The phones of words, for the phone head; `None` if there is none.
        recurrent_lm: The language model of the second pass; `None` if there is none.
    """

    network: Network
    tokenizer: CharTokenizer
    training: Mapping[str, Any] = field(default_factory=dict)
    decoding: DecodingConfig = field(default_factory=DecodingConfig)
    timing: WordTiming = field(default_factory=WordTiming)
    confidence: ConfidenceCalibration = field(default_factory=ConfidenceCalibration)
    lm: NGramLM | None = None
    internal_lm: InternalLM | None = None
    pronunciations: PronunciationDictionary | None = None
    recurrent_lm: RecurrentLM | None = None

    @property
    def config(self) -> ModelConfig:
        """The settings of the acoustic model."""
        return self.network.config

    @property
    def decoding_models(self) -> DecodingModels:
        """What `build_decoder` needs beside the settings."""
        return DecodingModels(self.lm, self.internal_lm, self.pronunciations, self.recurrent_lm)


def save_bundle(folder: Path, bundle: Bundle, card: str) -> None:
    """Write a bundle and its model card, whole or not at all; one that stands there is replaced."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        partial = Path(scratch) / folder.name
        partial.mkdir()
        _write_files(partial, bundle, card)
        if folder.exists():
            # Outside the scratch folder, so that a kill between the two moves does not lose the only model.
            retired = Path(mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
            folder.replace(retired / folder.name)
            partial.replace(folder)
            shutil.rmtree(retired)
        else:
            partial.replace(folder)


def load_bundle(folder: Path, *, language_models: bool = True) -> Bundle:
    """Open a bundle.

    Args:
        folder: Where it stands.
        language_models: Whether to open what only the beam search needs: language models and pronunciations.

    Returns:
        The bundle.

    Raises:
        BundleError: If a file is missing, is of another version, or disagrees with the others; the file is named.
    """
    if not folder.is_dir():
        raise BundleError(f"{folder}: no such folder; expected one with {WEIGHTS_FILE}, config.json, tokenizer.json")
    config = _read_json(folder / "config.json")
    tokenizer = _parse_tokenizer(folder / "tokenizer.json")
    bundle = Bundle(
        network=_load_network(folder, config, tokenizer),
        tokenizer=tokenizer,
        training=config.get("training", {}),
        decoding=_build_settings(folder, config, "decoding", DecodingConfig),
        timing=_build_settings(folder, config, "timing", WordTiming),
        confidence=_build_settings(folder, config, "confidence", ConfidenceCalibration),
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
) -> None:
    """Change how a bundle on disk is used, and nothing else in it; what is not given stays.

    Args:
        folder: The bundle.
        decoding: How its posteriors are decoded.
        timing: How far its tokens stand from the boundaries of words.
        confidence: How its posteriors become probabilities of being right.

    Raises:
        BundleError: If the folder holds no bundle of this version.
    """
    config = _read_json(folder / "config.json")
    given = {"decoding": decoding, "timing": timing, "confidence": confidence}
    config.update({name: asdict(settings) for name, settings in given.items() if settings is not None})
    _write_json(folder / "config.json", config)


def update_language_models(folder: Path, lm: NGramLM | None, recurrent_lm: RecurrentLM | None) -> None:
    """Replace the language models of a bundle on disk.

    Args:
        folder: The bundle.
        lm: The n-gram model; `None` leaves none.
        recurrent_lm: The recurrent one; `None` leaves none.
    """
    for name, model in ((LM_FILE, lm), (RECURRENT_LM_FILE, recurrent_lm)):
        if model is None:
            (folder / name).unlink(missing_ok=True)
        else:
            model.save(folder / name)


def export_bundle(folder: Path) -> Path:
    """Write the ONNX graph of a bundle on disk, which recognition on a CPU runs.

    Returns:
        The file.

    Raises:
        BundleError: If the bundle cannot be read, or the export differs from PyTorch.
        MissingExtraError: If the package `onnx` is not installed.
    """
    from asr.acoustic.export import export_graph

    network = load_bundle(folder, language_models=False).network
    write_bytes_atomically(folder / GRAPH_FILE, export_graph(network))
    return folder / GRAPH_FILE


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
    if network.graph is not None:
        write_bytes_atomically(folder / GRAPH_FILE, network.graph)
    _write_json(folder / "config.json", config)
    tokenizer = {"format_version": FORMAT_VERSION, "characters": list(bundle.tokenizer.characters)}
    _write_json(folder / "tokenizer.json", tokenizer)
    write_atomically(folder / "README.md", card)


def _halve(weights: Weights) -> dict[str, Any]:
    """Convert weights to half precision."""
    return {name: np.ascontiguousarray(array, np.float16) for name, array in weights.items()}


def _load_network(folder: Path, config: Mapping[str, Any], tokenizer: CharTokenizer) -> Network:
    """Open the acoustic model, after comparing every name and shape with the settings."""
    settings = _build_config(folder / "config.json", config.get("network"))
    described = f"config.json and tokenizer.json ({tokenizer.vocabulary_size - 1} characters)"
    weights = _load_weights(folder / WEIGHTS_FILE)
    _require_shapes(folder / WEIGHTS_FILE, weights, settings.weight_shapes(tokenizer.vocabulary_size), described)
    graph = folder / GRAPH_FILE
    return Network(
        settings, weights, _load_phones(folder, config, settings), graph.read_bytes() if graph.exists() else None
    )


def _load_phones(folder: Path, config: Mapping[str, Any], settings: ModelConfig) -> PhoneOutput | None:
    """Open the phone head, if there is one."""
    if not (folder / PHONES_FILE).exists():
        return None
    layer = (config.get("phones") or {}).get("layer")
    if not isinstance(layer, int) or not 1 <= layer <= settings.num_layers:
        raise BundleError(f"{folder / 'config.json'}: phones has layer {layer!r}; expected 1 to {settings.num_layers}")
    weights = _load_weights(folder / PHONES_FILE)
    num_tokens = len(weights.get("linear.bias", ()))
    expected = {"linear.weight": (num_tokens, settings.layer_size), "linear.bias": (num_tokens,)}
    _require_shapes(folder / PHONES_FILE, weights, expected, "config.json")
    return PhoneOutput(layer, weights)


def _build_settings(folder: Path, config: Mapping[str, Any], name: str, settings_type: type[_Settings]) -> _Settings:
    """Read one section of `config.json`; the defaults if it is not there."""
    try:
        return settings_type(**config.get(name, {}))
    except (TypeError, ValueError) as error:
        raise BundleError(f"{folder / 'config.json'}: {name} does not fit this version of asr ({error})") from error


def _load_part(path: Path, load: Callable[[Path], _Part]) -> _Part | None:
    """Open a part of a bundle, if it is there."""
    try:
        return load(path) if path.exists() else None
    except (LanguageModelError, VocabularyError) as error:
        raise BundleError(str(error)) from error


def _build_config(path: Path, fields: object) -> ModelConfig:
    """Read the settings of the network."""
    try:
        settings = dict(fields)  # type: ignore[call-overload]  # whatever JSON held is checked by the except below
        return ModelConfig(**{**settings, "features": MFCCConfig(**settings["features"])})
    except (TypeError, ValueError, KeyError) as error:
        raise BundleError(f"{path}: the network's settings do not fit this version of asr ({error})") from error


def _parse_tokenizer(path: Path) -> CharTokenizer:
    """Rebuild the alphabet."""
    characters = _read_json(path).get("characters")
    if not isinstance(characters, list) or not all(isinstance(character, str) for character in characters):
        raise BundleError(f"{path}: characters is not a list of strings; restore the file from where the model came")
    try:
        return CharTokenizer(tuple(characters))
    except VocabularyError as error:
        raise BundleError(f"{path}: {error}") from error


def _load_weights(path: Path) -> Weights:
    """Read weights."""
    try:
        weights, _ = load_tensors(path)
    except TensorFileError as error:
        raise BundleError(str(error)) from error
    for name, array in weights.items():
        if not np.isfinite(array).all():  # ONNX Runtime would go on with wrong numbers
            raise BundleError(f"{path}: {name} holds NaN or infinity; restore the file, or train the model again")
    return weights


def _require_shapes(path: Path, weights: Weights, expected: Mapping[str, tuple[int, ...]], described: str) -> None:
    """Refuse weights that are not those of the settings."""
    found = {name: array.shape for name, array in weights.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise BundleError(
                f"{path}: {name} has shape {found.get(name)}, but {described} ask for {expected.get(name)}; "
                "they are not of one model"
            )


def _read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of the version that this module writes."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: cannot be read as JSON ({error})") from error
    version = fields.get("format_version") if isinstance(fields, dict) else None
    if version != FORMAT_VERSION:
        raise BundleError(f"{path}: format_version is {version!r}, and this version of asr reads {FORMAT_VERSION}")
    return dict(fields)


def _write_json(path: Path, fields: Mapping[str, Any]) -> None:
    """Write a JSON object for people and programs alike, whole or not at all."""
    write_atomically(path, json.dumps(fields, indent=2, ensure_ascii=False) + "\n")
