"""Flags from the fields of a dataclass."""

import argparse
from dataclasses import dataclass
from typing import Literal

import pytest

from asr.cli.flags import add_deprecated_flag, add_fields, field_texts, given_fields


@dataclass(frozen=True)
class Config:
    """Settings.

    Attributes:
        num_steps: Steps, at
            least 1.
        end_score: Added at the end; `none` adds nothing, 50 % is not a score.
        mode: How to go.
        duration: Seconds to go on.
    """

    num_steps: int = 3
    end_score: float | None = None
    mode: Literal["slow", "fast"] = "slow"
    duration: float = 1.5


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser()
    flags = add_fields(parser, Config)
    add_deprecated_flag(parser, "--pace", flags["mode"])
    add_deprecated_flag(parser, "--endless", flags["end_score"], constant="none")
    return parser


def test_each_field_is_a_flag_of_its_name_type_and_choices(parser: argparse.ArgumentParser) -> None:
    arguments = parser.parse_args(["--num-steps", "7", "--end-score", "-0.5", "--mode", "fast", "--duration", "2"])
    assert Config(**given_fields(arguments, Config)) == Config(7, -0.5, "fast", 2.0)


def test_fields_that_are_not_given_are_not_there_and_none_is_a_value(parser: argparse.ArgumentParser) -> None:
    assert given_fields(parser.parse_args([]), Config) == {}
    assert given_fields(parser.parse_args(["--end-score", "none"]), Config) == {"end_score": None}


def test_help_is_that_of_the_docstring_with_the_default(parser: argparse.ArgumentParser) -> None:
    text = " ".join(parser.format_help().split())
    assert "--num-steps N Steps, at least 1. Default: 3." in text
    assert "--end-score X Added at the end; none adds nothing, 50 % is not a score. Default: none." in text
    assert "--mode {slow,fast} How to go. Default: slow." in text
    assert "--duration SECONDS Seconds to go on. Default: 1.5." in text


def test_excluded_fields_have_no_flag_and_defaults_may_be_left_out() -> None:
    parser = argparse.ArgumentParser()
    assert set(add_fields(parser, Config, exclude=("mode",), defaults=False)) == {"num_steps", "end_score", "duration"}
    assert "Default" not in parser.format_help()


def test_old_spelling_is_understood_hidden_and_warned_of(parser: argparse.ArgumentParser) -> None:
    arguments = parser.parse_args(["--pace", "fast", "--endless"])
    assert given_fields(arguments, Config) == {"mode": "fast", "end_score": None}
    assert arguments.warnings == (
        "--pace is deprecated and will go with the next release; use --mode",
        "--endless is deprecated and will go with the next release; use --end-score none",
    )
    assert "--pace" not in parser.format_help()
    assert "--endless" not in parser.format_help()


@pytest.mark.parametrize("flags", [("--num-steps", "1.5"), ("--duration", "inf"), ("--mode", "odd"), ("--pace", "odd")])
def test_value_of_another_kind_is_refused(
    parser: argparse.ArgumentParser, flags: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(flags)
    assert f"argument {flags[0]}: " in capsys.readouterr().err


def test_every_field_of_the_settings_of_recognition_is_described() -> None:
    from asr.decoding import DecodingConfig
    from asr.segmentation import SegmenterConfig

    for config in (DecodingConfig, SegmenterConfig):
        assert set(field_texts(config)) == set(config.__dataclass_fields__)
