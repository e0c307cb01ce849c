"""Speech made from text, with programs that pretend to be synthesisers and with those that are installed."""

import lzma
import math
import os
import shutil
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.cli.terminal import run_command
from asr.data.manifest import read_manifest
from asr.data.synthesis import draw_sentences, draw_voices
from asr.data.synthesizers import SYNTHESIZERS, Voice, read_speech
from asr.errors import AudioError, MissingExtraError

main = partial(run_command, "asr.cli.synthesize")

WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
SENTENCES = [f"say {tens} and {ones}" for tens in WORDS for ones in WORDS]

WriteProgram = Callable[[str, str], None]


@pytest.fixture
def write_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteProgram:
    """Write `(name, shell script)` as the only programs there are."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def write(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        (folder / name).chmod(0o755)

    return write


@pytest.fixture
def calls(tmp_path: Path, write_program: WriteProgram) -> Path:
    """What a pretended flite with the voices a and b was asked to say; it answers with a tone of 0.2 s."""
    tone, log = tmp_path / "tone.wav", tmp_path / "calls.txt"
    soundfile.write(tone, 0.5 * np.sin(2 * np.pi * 400 * np.arange(1600) / 8000), 8000)
    script = f"""
    if [ "$1" = -lv ]; then echo "Voices available: b a_time a "; exit; fi
    case "$*" in *fail*) echo "no such sound" >&2; exit 1;; *nothing*) exit;; esac
    for last; do :; done
    /bin/cp {tone} "$last"
    echo "$*" >> {log}"""
    write_program("flite", script)
    log.touch()
    return log


def write_text(tmp_path: Path, lines: list[str] = SENTENCES) -> str:
    path = tmp_path / "text.txt"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("synthesizer", "program", "output", "names"),
    [
        ("flite", "flite", "Voices available: kal awb_time slt ", ["kal", "slt"]),
        ("festival", "festival", "ked_diphone\nkal_diphone", ["kal_diphone", "ked_diphone"]),
        (
            "espeak-ng",
            "espeak-ng",
            "Pty Language       Age/Gender VoiceName          File                 Other Languages\n"
            " 2  en-gb           --/M      English_(Great_Britain) gmw/en               (en 2)\n"
            " 3  en-uk           --/M      english-mb-en1     mb/mb-en1            (en-gb 3)(en 2)\n"
            " 5  variant         --/M      Storm              !v/Storm             (en-us 5)\n"
            " 5  variant         --/M      Mr_Serious         !v/Mr serious        \n"
            " 5  variant         --/M      Robosoft2          !v/robosoft2         \n"
            " 5  variant         --/F      female3            !v/f3                ",
            ["en-gb", "en-gb+Storm", "en-gb+f3"],
        ),
    ],
)
def test_voices_are_those_that_can_say_any_english_sentence(
    write_program: WriteProgram, synthesizer: str, program: str, output: str, names: list[str]
) -> None:
    write_program(program, f"/bin/cat <<'END'\n{output}\nEND")
    assert SYNTHESIZERS[synthesizer].list_voices() == names


def test_recordings_are_opus_at_16_khz_with_a_manifest_that_says_who_speaks(tmp_path: Path, calls: Path) -> None:
    folder = tmp_path / "made"
    assert main([write_text(tmp_path), "--output", str(folder), "--hours", "0.001"]) == 0
    utterances = read_manifest(folder / "manifest.jsonl")
    assert len(utterances) == 32  # the first group holds about 6.4 s
    for utterance in utterances:
        header = soundfile.info(utterance.audio_filepath)
        assert (header.samplerate, header.channels, header.subtype) == (16_000, 1, "OPUS")
        assert header.duration == pytest.approx(utterance.duration, abs=1e-6)
        assert utterance.audio_filepath == folder / "recordings" / f"{utterance.utterance_id}.opus"
    assert {utterance.speaker for utterance in utterances} == {"flite-a", "flite-b"}
    assert {utterance.corpus for utterance in utterances} == {"synthetic"}
    said = [call.partition("-t ")[2].partition(" -o")[0] for call in calls.read_text(encoding="utf-8").splitlines()]
    assert sorted(said) == sorted(utterance.text for utterance in utterances)
    assert set(said) < set(SENTENCES)


def test_a_seed_gives_the_same_recordings_whatever_the_jobs_and_another_seed_gives_others(
    tmp_path: Path, calls: Path
) -> None:
    made = []
    for seed, jobs in (("1", "1"), ("1", "3"), ("2", "3")):
        folder = tmp_path / f"made-{seed}-{jobs}"
        settings = ["--hours", "0.001", "--seed", seed, "--jobs", jobs, "--format", "flac"]
        assert main([write_text(tmp_path), "--output", str(folder), *settings]) == 0
        made.append((folder / "manifest.jsonl").read_text(encoding="utf-8"))
    assert made[0] == made[1] != made[2]


def test_what_was_made_is_kept_and_what_is_missing_is_made_again(tmp_path: Path, calls: Path) -> None:
    folder = tmp_path / "made"
    command = [write_text(tmp_path), "--output", str(folder), "--hours", "0.001"]
    assert main(command) == 0
    manifest = (folder / "manifest.jsonl").read_bytes()
    lost = read_manifest(folder / "manifest.jsonl")[7]
    lost.audio_filepath.unlink()
    calls.write_text("", encoding="utf-8")
    assert main(command) == 0
    assert (folder / "manifest.jsonl").read_bytes() == manifest
    assert calls.read_text(encoding="utf-8").count("\n") == 1
    assert lost.text in calls.read_text(encoding="utf-8")


def test_a_manifest_that_asr_did_not_write_is_replaced_only_if_asked(
    tmp_path: Path, calls: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "manifest.jsonl").write_text("mine\n", encoding="utf-8")
    command = [write_text(tmp_path), "--output", str(folder), "--hours", "0.001"]
    assert main(command) == 2
    assert "manifest.jsonl: exists, and asr did not write it" in capsys.readouterr().err
    assert (folder / "manifest.jsonl").read_text(encoding="utf-8") == "mine\n"
    assert not (folder / "recordings").exists()
    assert main([*command, "--overwrite"]) == 0
    assert main(command) == 0


def test_texts_are_normalised_and_those_with_figures_or_other_letters_or_lengths_are_left_out() -> None:
    lines = ["Good morning, Mr. Brown!\n", "I have 3 apples here\n", "Das hört ein Mensch\n", "too short\n"]
    lines += ["This one is far too long\n", "GOOD MORNING MR BROWN\n", "\n", "It's nearly ten o'clock\n"]
    drawn = list(draw_sentences(lines, np.random.default_rng(0), min_words=4, max_words=5))
    assert sorted(drawn) == ["good morning mr brown", "it's nearly ten o'clock"]


def test_packed_text_is_read_and_a_text_that_ends_early_is_named(
    tmp_path: Path, calls: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = tmp_path / "text.txt.xz"
    packed.write_bytes(lzma.compress("".join(f"{line}\n" for line in SENTENCES).encode()))
    assert main([str(packed), "--output", str(tmp_path / "made"), "--hours", "9", "--format", "flac"]) == 0
    assert len(read_manifest(tmp_path / "made" / "manifest.jsonl")) == len(SENTENCES)
    output = capsys.readouterr()
    assert "text.txt.xz has no more sentences; 9.0 hours were asked for" in output.err
    assert f"flite: {len(SENTENCES)} recordings by 2 voices\nfestival: 0 recordings" in output.out


def test_synthesisers_that_are_missing_are_named_with_their_packages(
    tmp_path: Path, calls: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([write_text(tmp_path), "--output", str(tmp_path / "made"), "--hours", "0.001"]) == 0
    messages = capsys.readouterr().err.splitlines()
    assert len(messages) == 2
    assert "festival: no such program; install it, for instance with `apt-get install festival festvox-" in messages[0]
    assert "espeak-ng: no such program; install it, for instance with `apt-get install espeak-ng`" in messages[1]


def test_synthesisers_that_are_not_asked_for_are_not_missed(
    tmp_path: Path, calls: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = ["--hours", "0.001", "--format", "flac", "--synthesizers", "flite"]
    assert main([write_text(tmp_path), "--output", str(tmp_path / "made"), *settings]) == 0
    output = capsys.readouterr()
    assert not output.err
    assert output.out.splitlines()[1:] == ["flite: 32 recordings by 2 voices"]


def test_without_any_synthesiser_nothing_is_made(
    tmp_path: Path, write_program: WriteProgram, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([write_text(tmp_path), "--output", str(tmp_path / "made")]) == 2
    assert "error: no synthesiser is installed; install one or more with `apt-get" in capsys.readouterr().err
    assert not (tmp_path / "made").exists()


def test_a_sentence_that_cannot_be_spoken_is_left_out_with_the_reason(
    tmp_path: Path, calls: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = write_text(tmp_path, ["these words fail here", "here is nothing said", "these words are fine"])
    assert main([text, "--output", str(tmp_path / "made"), "--hours", "0.0001"]) == 0
    assert [each.text for each in read_manifest(tmp_path / "made" / "manifest.jsonl")] == ["these words are fine"]
    errors = capsys.readouterr().err
    assert "left out 'these words fail here'" in errors
    assert "flite failed (no such sound); is the voice installed?" in errors
    assert "wrote nothing ()" in errors


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["all of this must fail"], "none of 1 sentences could be spoken; see the reasons above"),
        (["short"], "nothing to speak; expected sentences of 4 to 25 words of the letters a to z"),
    ],
)
def test_a_text_of_which_nothing_can_be_spoken_is_an_error(
    tmp_path: Path, calls: Path, capsys: pytest.CaptureFixture[str], lines: list[str], message: str
) -> None:
    assert main([write_text(tmp_path, lines), "--output", str(tmp_path / "made")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "made" / "manifest.jsonl").exists()


def test_a_run_that_is_stopped_leaves_the_manifest_of_what_it_made(tmp_path: Path, calls: Path) -> None:
    # The process is told to end by the pretended synthesiser, once a group of 32 is done.
    program = tmp_path / "bin" / "flite"
    stop = f'if [ "$(/usr/bin/wc -l < {calls})" = 40 ]; then kill {os.getpid()}; fi'
    program.write_text(f"{program.read_text(encoding='utf-8')}\n{stop}\n", encoding="utf-8")
    settings = ["--hours", "1", "--jobs", "1", "--format", "flac"]
    assert main([write_text(tmp_path), "--output", str(tmp_path / "made"), *settings]) == 143
    assert len(read_manifest(tmp_path / "made" / "manifest.jsonl")) == 32


@pytest.mark.parametrize("hours", ["0", "-1"])
def test_an_amount_that_is_none_is_refused(hours: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["text.txt", "--output", "made", "--hours", hours]) == 2
    assert (
        f"error: the flags do not make sense: hours is {float(hours)}, but must be above 0" in capsys.readouterr().err
    )


def test_every_synthesiser_speaks_as_much_as_the_others_at_rates_and_pitches_that_differ() -> None:
    voices = [[Voice("flite", "slt")], [Voice("espeak-ng", f"en-us+m{number}") for number in range(50)]]
    spoken = list(draw_voices(iter(SENTENCES * 10), voices, np.random.default_rng(0)))
    counts = Counter(each.voice.synthesizer for each in spoken)
    assert abs(counts["flite"] - 500) < 4 * math.sqrt(250)  # four standard deviations of a binomial count
    assert len({each.voice for each in spoken}) == 51
    for values, low, high in (([s.rate for s in spoken], 0.8, 1.25), ([s.pitch for s in spoken], 0.88, 1.14)):
        assert low <= min(values) < low * 1.01
        assert high >= max(values) > high * 0.99
        assert abs(np.log(values).mean() - math.log(low * high) / 2) < 0.01


def test_a_pitch_moves_every_frequency_and_shortens_the_speech(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * 400 * np.arange(8000) / 8000), 8000)
    waveform = read_speech(tmp_path / "tone.wav", pitch=1.25)
    assert len(waveform) == 12_800
    assert np.abs(np.fft.rfft(waveform)).argmax() == 400  # of bins of 1.25 hertz


def test_silence_and_what_is_no_sound_are_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(800), 8000)
    (tmp_path / "damaged.wav").write_bytes(b"RIFF")
    with pytest.raises(AudioError, match=r"^silence: what was spoken is silence"):
        read_speech(tmp_path / "silence.wav")
    with pytest.raises(AudioError, match=r"^damaged: what was spoken cannot be read"):
        read_speech(tmp_path / "damaged.wav")


@pytest.mark.parametrize("synthesizer", SYNTHESIZERS)
def test_an_installed_synthesiser_speaks_at_the_rate_that_is_asked_for(tmp_path: Path, synthesizer: str) -> None:
    if not shutil.which(synthesizer):
        with pytest.raises(MissingExtraError, match=rf"^{synthesizer}: no such program"):
            SYNTHESIZERS[synthesizer].list_voices()
        return
    # One voice of each kind: those of festival that heed different commands end in _diphone and _hts.
    voices = SYNTHESIZERS[synthesizer].list_voices()
    kinds = {voice.rpartition("_")[2].partition("+")[0]: voice for voice in voices}
    for voice in kinds.values():
        durations = []
        for rate in (1.0, 1.25):
            text = "we went along the river in the evening"
            SYNTHESIZERS[synthesizer].speak(voice, text, tmp_path / "spoken.wav", rate=rate)
            durations.append(len(read_speech(tmp_path / "spoken.wav")))
        # Not exact, for pauses and the shortest sounds do not scale alike.
        assert 1.1 < durations[0] / durations[1] < 1.4, voice


def test_a_seed_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["text.txt", "--output", "made", "--seed", "-1"]) == 2
    assert "error: the flags do not make sense: seed is -1, but must be from 0 to" in capsys.readouterr().err
