"""The JSON files of a bundle: types by one schema, ranges by the settings themselves.

A bundle may come from anybody, so every value is checked before anything is built from it; what does not fit is named
by its key. The schema is the dataclasses of the settings: a field that is added there is checked here.

Source: https://jcristharif.com/msgspec/converters.html
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import msgspec

from asr.acoustic.config import ModelConfig
from asr.acoustic.feature_stream import FeatureStatistics
from asr.alignment.confidence import ConfidenceCalibration
from asr.alignment.ctc import WordTiming
from asr.arguments import require_path
from asr.decoding.config import DecodingConfig
from asr.errors import BundleError, VocabularyError
from asr.tokenizer import CharTokenizer

FORMAT_VERSION = 1

_MAX_BYTES = 2**22  # of a file; those that this package writes have a few thousand
_FILES = "model.safetensors, config.json, tokenizer.json"
_REMEDY = "restore the file from where the model came, or use the version of asr that wrote it"

_Schema = TypeVar("_Schema")


@dataclass(frozen=True, slots=True)
class PhoneLayer:
    """Where the phone head stands.

    Attributes:
        layer: The recurrent layer that it reads, from 1.
    """

    layer: int


@dataclass(frozen=True, slots=True)
class BundleConfig:
    """What `config.json` holds.

    Attributes:
        network: Settings of the acoustic model.
        decoding: How its posteriors are decoded.
        timing: How far its tokens stand from the boundaries of words.
        confidence: How its posteriors become probabilities of being right.
        phones: Where the phone head stands; `None` if there is none.
        feature_statistics: What features are like before they are normalised; `None` if that has not been measured.
        training: How the model came to be; for people to read.
    """

    network: ModelConfig
    decoding: DecodingConfig = field(default_factory=DecodingConfig)
    timing: WordTiming = field(default_factory=WordTiming)
    confidence: ConfidenceCalibration = field(default_factory=ConfidenceCalibration)
    phones: PhoneLayer | None = None
    feature_statistics: FeatureStatistics | None = None
    training: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Alphabet:
    """What `tokenizer.json` holds."""

    characters: tuple[str, ...]


def read_config(path: Path) -> BundleConfig:
    """Read `config.json`.

    Args:
        path: The file.

    Returns:
        The settings, all within their ranges.

    Raises:
        BundleError: If the file cannot be read, or a value does not fit; its key is named.
    """
    content = read_json(path)
    network = content.get("network")
    if isinstance(network, dict) and "features" not in network:
        raise BundleError(f"{path}: network.features is missing; {_REMEDY}")
    config = _convert(path, content, BundleConfig)
    if config.phones is not None and not 1 <= config.phones.layer <= config.network.num_layers:
        raise BundleError(
            f"{path}: phones.layer is {config.phones.layer}; expected 1 to {config.network.num_layers}, the layers of "
            "the network"
        )
    statistics, features = config.feature_statistics, config.network.features
    if statistics is not None and not statistics.fits(features):
        raise BundleError(
            f"{path}: feature_statistics has {len(statistics.mean)} means and {len(statistics.variance)} variances; "
            f"expected {features.num_features} and {1 + features.delta_order}, as network.features asks for"
        )
    return config


def require_bundle_folder(folder: Path | str) -> Path:
    """Refuse what is no folder, before one of its files is missed.

    Args:
        folder: Where a bundle should stand.

    Returns:
        The folder.

    Raises:
        BundleError: If there is no such folder.
    """
    folder = require_path("the folder of a model", folder)
    if not os.path.isdir(folder):  # which refuses names that are too long without an error
        raise BundleError(f"{folder}: no such folder; expected one with {_FILES}")
    return folder


def read_alphabet(path: Path) -> CharTokenizer:
    """Read `tokenizer.json`.

    Args:
        path: The file.

    Returns:
        The alphabet.

    Raises:
        BundleError: If the file cannot be read, or holds no alphabet.
    """
    try:
        return CharTokenizer(_convert(path, read_json(path), _Alphabet).characters)
    except VocabularyError as error:
        raise BundleError(f"{path}: {error}") from error


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of the version that this package writes.

    Args:
        path: The file.

    Returns:
        Its keys and values, unchecked.

    Raises:
        BundleError: If it is missing, too large, no JSON object, or of another version.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise BundleError(f"{path}: has more than {_MAX_BYTES:,} bytes; {_REMEDY}")
        values = json.loads(content.decode())
    except FileNotFoundError as error:
        raise BundleError(f"{path}: no such file; expected the folder of a model, with {_FILES}") from error
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{path}: cannot be read as JSON ({error})") from error
    version = values.get("format_version") if isinstance(values, dict) else None
    if version != FORMAT_VERSION or isinstance(version, bool):
        shown = f"{version!r:.40}"
        raise BundleError(f"{path}: format_version is {shown}, and this version of asr reads {FORMAT_VERSION}")
    return dict(values)


def _convert(path: Path, values: Mapping[str, Any], schema: type[_Schema]) -> _Schema:
    """Check values against a dataclass and build it."""
    known = {name: value for name, value in values.items() if name in {each.name for each in fields(schema)}}  # type: ignore[arg-type]
    try:
        _refuse_unknown(known, schema)
        return msgspec.convert(known, schema)
    except (msgspec.ValidationError, OverflowError, RecursionError, UnicodeError) as error:
        message, _, key = str(error).partition(" - at `$")
        key = key.strip("`.")
        message = message[:1].lower() + message[1:]
        raise BundleError(f"{path}: {f'{key}: ' if key else ''}{message}; {_REMEDY}") from error


def _refuse_unknown(values: Mapping[str, Any], schema: type, above: str = "") -> None:
    """Refuse keys below the top that the settings lack, for they may change what the others mean."""
    for name, kind in get_type_hints(schema).items():
        section = values.get(name)
        if not is_dataclass(kind) or not isinstance(section, dict):
            continue
        unknown = sorted(section.keys() - {each.name for each in fields(kind)})
        if unknown:
            raise msgspec.ValidationError(f"no setting has the name {unknown[0]!r:.60} - at `$.{above}{name}`")
        _refuse_unknown(section, kind, f"{above}{name}.")  # type: ignore[arg-type]  # a class, not an instance
