"""A trained recogniser as a folder: `model.safetensors`, `config.json`, `tokenizer.json` and a model card, `README.md`.

Language models, `lm.safetensors` and `recurrent_lm.safetensors`, what the network has learnt of spelling,
`internal_lm.safetensors`, and its head for phones, `phones.safetensors` and `pronunciations.json`, may stand beside
them. Tensors and JSON only, nothing is unpickled. Weights of the acoustic model are kept in half precision and computed
with in single: that halves the size and moves log-probabilities by less than a thousandth.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from asr.acoustic.features import MFCCConfig
from asr.acoustic.model import AcousticModel, ModelConfig
from asr.acoustic.phone_head import PhoneHead
from asr.acoustic.pronunciation import PronunciationDictionary
from asr.alignment.confidence import ConfidenceCalibration
from asr.alignment.ctc import WordTiming
from asr.decoding import DecodingConfig, InternalLM
from asr.errors import BundleError, LanguageModelError, VocabularyError
from asr.lm.ngram import NGramLM
from asr.lm.recurrent import RecurrentLM
from asr.tokenizer import CharTokenizer

FORMAT_VERSION = 1
LM_FILE = "lm.safetensors"
RECURRENT_LM_FILE = "recurrent_lm.safetensors"
INTERNAL_LM_FILE = "internal_lm.safetensors"
PHONES_FILE = "phones.safetensors"
PRONUNCIATIONS_FILE = "pronunciations.json"
ENGLISH_MODEL = Path(__file__).parent / "models" / "english"

_LM = TypeVar("_LM", NGramLM, InternalLM, RecurrentLM)
_Settings = TypeVar("_Settings", DecodingConfig, WordTiming, ConfidenceCalibration)


@dataclass(frozen=True)
class Bundle:
    """A trained recogniser.

    Attributes:
        model: The acoustic model.
        tokenizer: The alphabet of its output.
        training: How it came to be, as plain JSON data; for people to read.
        decoding: How its log-probabilities are read.
        timing: How far its tokens stand from the borders of words.
        confidence: What its posteriors say about being right.
        lm: The language model that helps the decoder; `None` if there is none.
        internal_lm: The spelling that the network has learnt from its texts; `None` if that is not known.
        phones: The head that names phones; `None` if there is none.
        recurrent_lm: Compares the best readings by `lm` again; `None` if there is none.
    """

    model: AcousticModel
    tokenizer: CharTokenizer
    training: Mapping[str, Any] = field(default_factory=dict)
    decoding: DecodingConfig = field(default_factory=DecodingConfig)
    timing: WordTiming = field(default_factory=WordTiming)
    confidence: ConfidenceCalibration = field(default_factory=ConfidenceCalibration)
    lm: NGramLM | None = None
    internal_lm: InternalLM | None = None
    phones: PhoneHead | None = None
    recurrent_lm: RecurrentLM | None = None


def save_bundle(folder: Path, bundle: Bundle, card: str) -> None:
    """Write a bundle, whole or not at all; one that stands there is replaced.

    Args:
        folder: Where to write; its parents are made.
        bundle: What to write.
        card: The model card, in Markdown.
    """
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


def _write_files(folder: Path, bundle: Bundle, card: str) -> None:
    """Write the files of a bundle into an empty folder."""
    _write_weights(folder / "model.safetensors", bundle.model)
    config = {
        "format_version": FORMAT_VERSION,
        "network": asdict(bundle.model.config),
        "decoding": asdict(bundle.decoding),
        "timing": asdict(bundle.timing),
        "confidence": asdict(bundle.confidence),
        "training": dict(bundle.training),
    }
    if bundle.lm is not None:
        bundle.lm.save(folder / LM_FILE)
    if bundle.recurrent_lm is not None:
        bundle.recurrent_lm.save(folder / RECURRENT_LM_FILE)
    if bundle.internal_lm is not None:
        bundle.internal_lm.save(folder / INTERNAL_LM_FILE)
    if bundle.phones is not None:
        _write_weights(folder / PHONES_FILE, bundle.phones)
        bundle.phones.pronunciations.save(folder / PRONUNCIATIONS_FILE)
        config["phones"] = {"layer": bundle.phones.layer}
    _write_json(folder / "config.json", config)
    tokenizer = {"format_version": FORMAT_VERSION, "characters": list(bundle.tokenizer.characters)}
    _write_json(folder / "tokenizer.json", tokenizer)
    (folder / "README.md").write_text(card, encoding="utf-8")


def _write_weights(path: Path, module: nn.Module) -> None:
    """Write the weights of a network in half precision."""
    save_file({name: tensor.detach().cpu().half().contiguous() for name, tensor in module.state_dict().items()}, path)
    path.chmod(0o644)  # safetensors leaves it to its owner alone


def load_bundle(folder: Path) -> Bundle:
    """Open a bundle on the CPU, ready to evaluate.

    Args:
        folder: Where it stands.

    Returns:
        The bundle; its model is in evaluation mode.

    Raises:
        BundleError: If a file is missing, is of another version, or disagrees with the others; the file is named.
    """
    if not folder.is_dir():
        raise BundleError(f"{folder}: no such folder; expected one with model.safetensors, config.json, tokenizer.json")
    config = _read_json(folder / "config.json")
    tokenizer = _parse_tokenizer(folder / "tokenizer.json")
    model = _build_model(folder / "config.json", config.get("network"), tokenizer.vocabulary_size)
    described = f"config.json and tokenizer.json ({tokenizer.vocabulary_size - 1} characters)"
    _load_weights(folder / "model.safetensors", model, described)
    return Bundle(
        model.eval(),
        tokenizer,
        config.get("training", {}),
        _build_settings(folder, config, "decoding", DecodingConfig),
        _build_settings(folder, config, "timing", WordTiming),
        _build_settings(folder, config, "confidence", ConfidenceCalibration),
        _load_lm(folder / LM_FILE, NGramLM.load),
        _load_lm(folder / INTERNAL_LM_FILE, lambda path: InternalLM.load(path, tokenizer.vocabulary_size)),
        _load_phones(folder, config, model),
        _load_lm(folder / RECURRENT_LM_FILE, RecurrentLM.load),
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
        decoding: How its log-probabilities are read.
        timing: How far its tokens stand from the borders of words.
        confidence: What its posteriors say about being right.

    Raises:
        BundleError: If the folder holds no bundle of this version.
    """
    config = _read_json(folder / "config.json")
    given = {"decoding": decoding, "timing": timing, "confidence": confidence}
    config.update({name: asdict(settings) for name, settings in given.items() if settings is not None})
    _write_json(folder / "config.json", config)


def update_language_models(folder: Path, lm: NGramLM | None, recurrent_lm: RecurrentLM | None) -> None:
    """Give a bundle on disk other language models, in place of its own.

    Args:
        folder: The bundle.
        lm: The new one; `None` leaves it without.
        recurrent_lm: Likewise.
    """
    for name, model in ((LM_FILE, lm), (RECURRENT_LM_FILE, recurrent_lm)):
        if model is None:
            (folder / name).unlink(missing_ok=True)
        else:
            model.save(folder / name)


def _build_settings(folder: Path, config: Mapping[str, Any], name: str, settings_type: type[_Settings]) -> _Settings:
    """Read one section of `config.json`; the defaults if it is not there."""
    try:
        return settings_type(**config.get(name, {}))
    except (TypeError, ValueError) as error:
        raise BundleError(f"{folder / 'config.json'}: {name} does not fit this version of asr ({error})") from error


def _load_lm(path: Path, load: Callable[[Path], _LM]) -> _LM | None:
    """Open a language model, if there is one."""
    try:
        return load(path) if path.exists() else None
    except LanguageModelError as error:
        raise BundleError(str(error)) from error


def _load_phones(folder: Path, config: Mapping[str, Any], model: AcousticModel) -> PhoneHead | None:
    """Open the head for phones, if there is one."""
    if not (folder / PHONES_FILE).exists():
        return None
    layer = (config.get("phones") or {}).get("layer")
    if not isinstance(layer, int) or not 1 <= layer <= len(model.layers):
        raise BundleError(f"{folder / 'config.json'}: phones has layer {layer!r}; expected 1 to {len(model.layers)}")
    try:
        pronunciations = PronunciationDictionary.load(folder / PRONUNCIATIONS_FILE)
    except VocabularyError as error:
        raise BundleError(str(error)) from error
    head = PhoneHead(pronunciations, layer, model.layer_size)
    _load_weights(folder / PHONES_FILE, head, f"{PRONUNCIATIONS_FILE} ({len(pronunciations.phones)} phones)")
    return head.eval()


def _build_model(path: Path, fields: object, vocabulary_size: int) -> AcousticModel:
    """Build the network that settings describe."""
    try:
        settings = dict(fields)  # type: ignore[call-overload]  # whatever JSON held is checked by the except below
        config = ModelConfig(**{**settings, "features": MFCCConfig(**settings["features"])})
        return AcousticModel(config, vocabulary_size)
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


def _load_weights(path: Path, model: nn.Module, described: str) -> None:
    """Fill a network, after comparing every name and shape."""
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise BundleError(f"{path}: cannot be read as safetensors ({error})") from error
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise BundleError(
                f"{path}: {name} has shape {found.get(name)}, but {described} ask for {expected.get(name)}; "
                "they are not of one model"
            )
    model.load_state_dict({name: tensor.to(torch.float32) for name, tensor in weights.items()})


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
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(fields, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)
