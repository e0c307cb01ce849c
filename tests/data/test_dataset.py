"""Utterances on disk to padded batches."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from asr.acoustic.model import pad_waveforms
from asr.audio import load_audio
from asr.data.augmentation import AugmentConfig, build_augment
from asr.data.dataset import Example, SpeechDataset, collate, make_changes, read_waveforms
from asr.data.manifest import Utterance
from asr.data.sampler import Draw
from asr.data.sources import ManifestSource
from asr.errors import ManifestError
from asr.tokenizer import CharTokenizer

RATE = 16_000
TOKENIZER = CharTokenizer(("a", "b"))

WriteTone = Callable[[str, float, float], Path]


def utterance(path: Path, text: str = "a") -> Utterance:
    return Utterance(path, 0.5, text, path.stem)


def example(num_samples: int, text: str) -> Example:
    tokens = torch.tensor(TOKENIZER.encode(text), dtype=torch.int64)
    return Example(torch.ones(num_samples), tokens, utterance(Path(f"id-{text}.wav"), text))


ROOMS = build_augment(AugmentConfig(reverb_probability=1, gain_probability=1))
EVERYTHING = AugmentConfig(
    stretch_probability=0.5,
    speed_probability=0.5,
    reverb_probability=0.5,
    band_limit_probability=0.5,
    gain_probability=0.5,
)


def test_batch_pads_sound_with_zeros_and_targets_with_the_blank() -> None:
    batch = collate([example(3, "ab"), example(5, "bab"), example(1, "")])
    assert batch.waveforms.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0]]
    assert batch.waveform_lengths.tolist() == [3, 5, 1]
    assert batch.targets.tolist() == [[1, 2, 0], [2, 1, 2], [0, 0, 0]]
    assert batch.target_lengths.tolist() == [2, 3, 0]
    assert batch.texts == ("ab", "bab", "")
    assert batch.utterance_ids == ("id-ab", "id-bab", "id-")


def test_example_is_the_recording_and_the_tokens_of_its_text(write_tone: WriteTone) -> None:
    path = write_tone("a.wav", 300.0, 0.1)
    dataset = SpeechDataset(ManifestSource([utterance(path, "aab")]), TOKENIZER, RATE)
    waveform, tokens, origin, phones, changes = dataset[Draw(0, seed=1)]
    assert torch.equal(waveform, torch.from_numpy(load_audio(path, RATE)))
    assert tokens.tolist() == [1, 1, 2]
    assert phones.tolist() == []
    assert changes == ()
    assert origin == utterance(path, "aab")


def test_empty_text_is_a_target_of_no_tokens(write_tone: WriteTone) -> None:
    dataset = SpeechDataset(ManifestSource([utterance(write_tone("a.wav", 300.0, 0.1), "")]), TOKENIZER, RATE)
    tokens = dataset[Draw(0, seed=1)].tokens
    assert (tokens.dtype, tokens.tolist()) == (torch.int64, [])


def test_seed_of_the_draw_decides_the_augmentation(write_tone: WriteTone) -> None:
    source = ManifestSource([utterance(write_tone("a.wav", 300.0, 0.1))])
    dataset = SpeechDataset(source, TOKENIZER, RATE, augment=ROOMS)
    first, again, other = (dataset[Draw(0, seed)].waveform for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_what_is_left_to_the_device_makes_the_same_batch_there(write_tone: WriteTone) -> None:
    source = ManifestSource([utterance(write_tone(f"{number}.wav", 300.0 + number, 0.3)) for number in range(12)])
    augment = build_augment(EVERYTHING)
    draws = [Draw(index, seed=index) for index in range(12)]
    here, later = (
        collate([SpeechDataset(source, TOKENIZER, RATE, augment=augment, on_device=on_device)[draw] for draw in draws])
        for on_device in (False, True)
    )
    assert here.changes is None
    assert later.changes is not None
    assert later.num_samples == here.num_samples
    assert torch.equal(make_changes(later).waveform_lengths, here.waveform_lengths)
    changed = make_changes(later).waveforms
    assert not torch.equal(later.waveforms[:, : changed.shape[1]], changed)
    differences = (changed - here.waveforms).norm(dim=1) / here.waveforms.norm(dim=1)
    assert differences.max() < 0.02  # resamplers differ at the ends of a tone that is cut off


def test_cached_waveforms_serve_the_examples_that_the_files_do(write_tone: WriteTone) -> None:
    utterances = [utterance(write_tone(f"{number}.wav", 300.0 + number, 0.1)) for number in range(3)]
    waveforms = read_waveforms(utterances, RATE)
    source = ManifestSource(utterances)
    from_memory = SpeechDataset(source, TOKENIZER, RATE, augment=ROOMS, waveforms=waveforms)
    from_files = SpeechDataset(source, TOKENIZER, RATE, augment=ROOMS)
    for index in range(3):
        assert torch.equal(from_memory[Draw(index, 7)].waveform, from_files[Draw(index, 7)].waveform)


def test_recording_that_several_utterances_share_is_kept_once(write_tone: WriteTone) -> None:
    path = write_tone("a.wav", 300.0, 0.1)
    assert list(read_waveforms([utterance(path, "a"), utterance(path, "b")], RATE)) == [path]


def test_all_recordings_that_cannot_be_read_are_named_at_once(tmp_path: Path, write_tone: WriteTone) -> None:
    (tmp_path / "text.wav").write_text("no sound", encoding="utf-8")
    paths = [write_tone("good.wav", 300.0, 0.1), tmp_path / "text.wav", tmp_path / "missing.wav"]
    with pytest.raises(ManifestError, match=r"^2 recordings cannot be read: ") as caught:
        read_waveforms([utterance(path) for path in paths], RATE)
    message = str(caught.value)
    assert f"{paths[1]}: " in message
    assert f"{paths[2]}: " in message
    assert "good.wav" not in message


def test_padding_keeps_waveforms_and_counts_samples() -> None:
    waveforms, lengths = pad_waveforms([torch.ones(3), torch.full((5,), 2.0, dtype=torch.float64)])
    assert waveforms.tolist() == [[1, 1, 1, 0, 0], [2, 2, 2, 2, 2]]
    assert waveforms.dtype == torch.float32
    assert lengths.tolist() == [3, 5]
    assert lengths.dtype == torch.int64
