"""The parameters of a transcription in OpenAI's API: which there are, which values are served, and their meaning here.

What is not served is refused by name: a client must not believe that it had an effect.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from asr.decoding import HotWord, parse_hot_words
from asr.errors import ASRError
from asr.serving.errors import ParameterError
from asr.serving.served_model import ServedModel
from asr.tokenizer import CharTokenizer

ResponseFormat: TypeAlias = Literal["json", "text", "srt", "vtt", "verbose_json"]
Granularity: TypeAlias = Literal["segment", "word"]

_LISTS = ("timestamp_granularities[]", "keywords[]")
_SINGLE = ("model", "language", "prompt", "response_format", "temperature", "stream", "chunking_strategy")
_TRUE, _FALSE = ("true", "1"), ("false", "0", "")
_MAX_HOT_WORDS = 1000
_MAX_PHRASE = 200  # characters


@dataclass(frozen=True, slots=True)
class TranscriptionParameters:
    """What is asked of a transcription.

    Attributes:
        response_format: The form of the answer.
        granularities: Of the times in `verbose_json`.
        stream: Whether segments are sent as they come.
        hot_words: Words and phrases to favour.
    """

    response_format: ResponseFormat
    granularities: tuple[Granularity, ...]
    stream: bool
    hot_words: tuple[HotWord, ...]


def read_parameters(fields: Sequence[tuple[str, str]], served: ServedModel) -> TranscriptionParameters:
    """Read the fields of a form.

    Args:
        fields: By name and value; lists come as a field for each entry.
        served: The model.

    Returns:
        The parameters.

    Raises:
        ParameterError: If one is not known, or not served; it is named.
        RequestError: If the model is not here.
    """
    values: dict[str, list[str]] = {}
    for name, value in fields:
        key = f"{name}[]" if f"{name}[]" in _LISTS else name
        if key not in _SINGLE + _LISTS:
            raise ParameterError(name, f"the parameter {name!r} is not served; leave it out")
        values.setdefault(key, []).append(value)
    if repeated := [name for name in _SINGLE if len(values.get(name, ())) > 1]:
        raise ParameterError(repeated[0], f"the parameter {repeated[0]!r} is given more than once")
    single = {name: values[name][0] for name in _SINGLE if name in values}
    served.check_name(single.get("model", served.name))
    served.check_language(single.get("language", ""))
    _check_fixed(single)
    response_format = _choose("response_format", single.get("response_format", "json"), get_args(ResponseFormat))
    stream = _choose("stream", single.get("stream", "false").lower(), _TRUE + _FALSE) in _TRUE
    if stream and response_format not in {"json", "text"}:
        message = f"response_format {response_format!r} cannot be streamed; ask for json, or leave stream out"
        raise ParameterError("response_format", message)
    granularities = values.get("timestamp_granularities[]", [])
    for each in granularities:
        _choose("timestamp_granularities[]", each, get_args(Granularity))
    if granularities and response_format != "verbose_json":
        raise ParameterError("timestamp_granularities[]", "timestamp_granularities needs response_format verbose_json")
    return TranscriptionParameters(
        response_format,
        tuple(granularities) or ("segment",),  # type: ignore[arg-type]  # each was checked
        stream,
        read_hot_words(values.get("keywords[]", []), single.get("prompt", ""), served.tokenizer),
    )


def read_hot_words(
    keywords: Sequence[str], prompt: str, tokenizer: CharTokenizer, param: str = "keywords[]"
) -> tuple[HotWord, ...]:
    """Read what is to be favoured.

    Args:
        keywords: Each `phrase[:boost]`.
        prompt: Phrases between commas, semicolons, full stops or line breaks. It is free text: what of it the alphabet
            cannot spell has no effect.
        tokenizer: The alphabet.
        param: What the keywords are called.

    Returns:
        The hot words; a keyword counts where the prompt holds it too.

    Raises:
        ParameterError: If a boost is no number, the alphabet cannot spell a keyword, or there are too many.
    """
    phrases = prompt.translate(dict.fromkeys(map(ord, ";.!?\n\r:"), ",")).split(",")
    entries = [("prompt", phrase) for phrase in phrases if any(map(str.isalnum, phrase))]
    entries += [(param, keyword.replace(",", " ")) for keyword in keywords if keyword.strip()]
    if len(entries) > _MAX_HOT_WORDS:
        raise ParameterError(entries[-1][0], f"there are {len(entries)} hot words; expected at most {_MAX_HOT_WORDS}")
    found: dict[str, HotWord] = {}
    for name, entry in entries:
        if len(entry) > _MAX_PHRASE:
            raise ParameterError(name, f"{entry[:20]!r}... has {len(entry)} characters; expected at most {_MAX_PHRASE}")
        try:
            for hot_word in parse_hot_words(entry):
                if not (unknown := tokenizer.unknown_characters(tokenizer.spell(hot_word.phrase))):
                    found[hot_word.phrase] = hot_word
                elif name != "prompt":
                    raise ParameterError(
                        name, f"{hot_word.describe()}: the alphabet lacks {unknown}; spell it as it is spoken"
                    )
        except ASRError as error:
            raise ParameterError(name, str(error)) from error
    return tuple(found.values())


def _check_fixed(single: dict[str, str]) -> None:
    """Refuse values of parameters that have one value here."""
    try:
        temperature = float(single.get("temperature", "0") or 0)
    except ValueError:
        raise ParameterError("temperature", f"temperature {single['temperature']!r} is no number; expected 0") from None
    if temperature != 0:
        message = f"temperature {temperature:g} is not served, for the search draws nothing at random; expected 0"
        raise ParameterError("temperature", message)
    _choose("chunking_strategy", single.get("chunking_strategy", "auto"), ("auto",))


def _choose(name: str, value: str, choices: Sequence[str]) -> ResponseFormat:
    """Refuse a value that is none of some."""
    if value not in choices:
        raise ParameterError(name, f"{name} {value!r} is not served; expected {', '.join(filter(None, choices))}")
    return value  # type: ignore[return-value]
