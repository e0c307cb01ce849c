"""The parameters of a transcription."""

import pytest

from asr.decoding import HotWord
from asr.errors import ASRError
from asr.serving.parameters import read_hot_words, read_parameters
from asr.serving.served_model import ServedModel
from asr.serving.settings import ServerConfig
from asr.tokenizer import CharTokenizer

ALPHABET = CharTokenizer(tuple(" 'abcdefghijklmnopqrstuvwxyz"))
ENGLISH = ServedModel("english", ALPHABET, "en")


def test_without_parameters_the_answer_is_json() -> None:
    parameters = read_parameters([], ENGLISH)
    assert (parameters.response_format, parameters.stream, parameters.hot_words) == ("json", False, ())


@pytest.mark.parametrize("name", ["timestamp_granularities", "timestamp_granularities[]"])
def test_lists_are_known_with_and_without_brackets(name: str) -> None:
    fields = [(name, "word"), (name, "segment"), ("response_format", "verbose_json")]
    assert read_parameters(fields, ENGLISH).granularities == ("word", "segment")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([("include[]", "logprobs")], "the parameter 'include[]' is not served; leave it out"),
        ([("model", "english"), ("model", "english")], "the parameter 'model' is given more than once"),
        ([("language", "de")], "the model does not speak 'de'; expected 'en', or nothing"),
        (
            [("response_format", "diarized_json")],
            "response_format 'diarized_json' is not served; expected json, text, ",
        ),
        ([("temperature", "0.2")], "temperature 0.2 is not served, for the search draws nothing at random; expected 0"),
        ([("temperature", "warm")], "temperature 'warm' is no number; expected 0"),
        ([("temperature", "nan")], "temperature nan is not served"),
        ([("stream", "maybe")], "stream 'maybe' is not served; expected true, 1, false, 0"),
        ([("stream", "true"), ("response_format", "srt")], "response_format 'srt' cannot be streamed"),
        ([("timestamp_granularities[]", "word")], "timestamp_granularities needs response_format verbose_json"),
        ([("timestamp_granularities[]", "char")], "timestamp_granularities[] 'char' is not served; expected segment, "),
        ([("chunking_strategy", "server_vad")], "chunking_strategy 'server_vad' is not served; expected auto"),
        ([("keywords[]", "a" * 300)], "'aaaaaaaaaaaaaaaaaaaa'... has 300 characters; expected at most 200"),
        (
            [("keywords[]", "six"), ("keywords[]", "r2d2")],
            "hot word 'r2d2': the alphabet lacks ['2']; spell it as it is spoken",
        ),
        ([("keywords[]", "anna")] * 1001, "there are 1001 hot words; expected at most 1000"),
    ],
)
def test_what_is_not_served_is_refused_by_name(fields: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(ASRError) as refusal:
        read_parameters(fields, ENGLISH)
    assert str(refusal.value).startswith(message)


@pytest.mark.parametrize("language", ["en", "EN", "en-GB", ""])
def test_the_language_of_the_model_is_known_by_its_codes(language: str) -> None:
    read_parameters([("language", language)], ENGLISH)


def test_any_language_goes_where_that_of_the_model_is_not_known() -> None:
    read_parameters([("language", "de")], ServedModel("english", ALPHABET))


def test_keywords_and_the_phrases_of_a_prompt_are_hot_words() -> None:
    found = read_hot_words(["Anna:7", "ice cream"], "Names: Bertha, anna; and so on.", ALPHABET)
    assert found == (
        HotWord("names"),
        HotWord("bertha"),
        HotWord("anna", 7.0),
        HotWord("and so on"),
        HotWord("ice cream"),
    )


def test_what_the_alphabet_cannot_spell_of_a_prompt_has_no_effect() -> None:
    assert read_hot_words([], "Chapter 4, 東京. Café, 7 of 9", ALPHABET) == (HotWord("café"),)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"port": 70_000}, "port is 70000; expected a number from 0 to 65535"),
        ({"workers": 0}, "workers is 0; expected a number from 1 to 256"),
        ({"max_queue": -1}, "max_queue is -1; expected a number from 0 to 1e+09"),
        ({"idle_timeout": 0}, "idle_timeout is 0; expected a number from 0.001 to 1e+09"),
        ({"max_upload": float("nan")}, "max_upload is nan; expected a number from 0.001 to 1e+09"),
        ({"max_upload": 1e308}, "max_upload is 1e+308; expected a number from 0.001 to 1e+09"),
        ({"max_streams": 0}, "max_streams is 0; expected a number from 1 to 1e+09"),
        ({"api_key": "two words"}, "the API key holds spaces or characters that are no ASCII"),
        ({"origins": ("example.org",)}, "origin 'example.org' is none; expected one such as https://example.org"),
        ({"origins": ("https://a.org/x",)}, "origin 'https://a.org/x' is none; expected one such as"),
    ],
)
def test_settings_out_of_range_are_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(ASRError) as refusal:
        ServerConfig(**values)  # type: ignore[arg-type]
    assert str(refusal.value).startswith(message)
