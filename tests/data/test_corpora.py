"""What the readers find in each corpus; none of them opens a recording, so empty files stand for audio here."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from asr.data.corpora import READERS, Entry, Record, Rejection
from asr.errors import ManifestError


def lay_out(folder: Path, files: Mapping[str, str]) -> Path:
    """Write a tree of files."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder


def reasons(records: Iterable[Record]) -> list[tuple[str, str]]:
    """List the recordings rejected, by name, with the reasons."""
    return [(Path(r.audio_filepath).name, r.reason) for r in records if isinstance(r, Rejection)]


def entries(records: Iterable[Record]) -> list[Entry]:
    """List what was not rejected."""
    return [record for record in records if isinstance(record, Entry)]


@pytest.mark.parametrize("name", sorted(set(READERS) - {"csv"}))
def test_a_folder_that_is_not_the_corpus_is_an_error_that_names_what_was_expected(name: str, tmp_path: Path) -> None:
    expected = {
        "librispeech": "trans.txt",
        "ljspeech": "metadata.csv",
        "commonvoice": "train.tsv",
        "an4": "an4_train.transcription",
        "fsdd": "recordings/",
        "kaldi": "wav.scp",
        "folder": "a.txt",
    }
    with pytest.raises(ManifestError, match=expected[name]):
        list(READERS[name](tmp_path))


def test_librispeech_is_read_from_a_subset_and_from_the_root(tmp_path: Path) -> None:
    lay_out(
        tmp_path,
        {
            "LibriSpeech/SPEAKERS.TXT": "",
            "LibriSpeech/dev-clean/84/121/84-121.trans.txt": "84-121-0000 GO ON\n84-121-0001 DON'T\n",
            "LibriSpeech/dev-clean/84/121/84-121-0000.flac": "",
            "LibriSpeech/dev-clean/84/121/84-121-0001.flac": "",
            "LibriSpeech/dev-clean/84/121/84-121-0002.flac": "",
            "LibriSpeech/test-clean/61/70/61-70.trans.txt": "61-70-0000 YES\n",
        },
    )
    chapter = tmp_path / "LibriSpeech/dev-clean/84/121"
    subset = list(READERS["librispeech"](tmp_path / "LibriSpeech/dev-clean"))
    assert entries(subset) == [
        Entry(chapter / "84-121-0000.flac", "GO ON", "84-121-0000", speaker="84"),
        Entry(chapter / "84-121-0001.flac", "DON'T", "84-121-0001", speaker="84"),
    ]
    assert reasons(subset) == [("84-121-0002.flac", "no transcript")]
    assert [entry.speaker for entry in entries(READERS["librispeech"](tmp_path))] == ["84", "84", "61"]


def test_ljspeech_takes_the_text_with_numbers_spelled_out_where_there_is_one(tmp_path: Path) -> None:
    metadata = (
        'LJ001-0001|In 1455, "print|In fourteen fifty-five, "print\nLJ001-0002|Only this|\nLJ001-0003|One\nbroken\n'
    )
    lay_out(tmp_path, {"metadata.csv": metadata, "wavs/LJ001-0001.wav": "", "wavs/LJ009-0001.wav": ""})
    records = list(READERS["ljspeech"](tmp_path))
    first = Entry(tmp_path / "wavs/LJ001-0001.wav", 'In fourteen fifty-five, "print', "LJ001-0001", speaker="LJ")
    assert entries(records)[0] == first
    assert [entry.text for entry in entries(records)[1:]] == ["Only this", "One"]
    assert reasons(records) == [("broken.wav", "malformed line"), ("LJ009-0001.wav", "no transcript")]


def test_common_voice_reads_the_split_that_is_asked_for(tmp_path: Path) -> None:
    header = "client_id\tpath\tsentence\tup_votes\n"
    train = header + 'c1\ta.mp3\t"Ça va?"\t2\nc2\tb.mp3\n'
    lay_out(tmp_path, {"train.tsv": train, "dev.tsv": header + "c3\tc.mp3\tOui.\t0\n"})
    records = list(READERS["commonvoice"](tmp_path))
    assert entries(records) == [Entry(tmp_path / "clips/a.mp3", '"Ça va?"', "a", speaker="c1")]
    assert reasons(records) == [("train.tsv", "malformed line")]
    assert [entry.text for entry in entries(READERS["commonvoice"](tmp_path, split="dev"))] == ["Oui."]


def test_an4_joins_file_ids_and_transcripts_and_rejects_headerless_audio(tmp_path: Path) -> None:
    lay_out(
        tmp_path,
        {
            "etc/an4_train.transcription": (
                "<s> HELLO <sil> ROAD </s> (an1-fash-b)\n<s> ONE </s> (an2-fash-b)\n<s> TWO </s> (an3-mabc-b)\n"
                "<s> THREE </s> (an9-mabc-b)\nno name\n"
            ),
            "etc/an4_train.fileids": "an4_clstk/fash/an1-fash-b\nan4_clstk/fash/an2-fash-b\n"
            "an4_clstk/mabc/an3-mabc-b\nan4_clstk/mabc/an4-mabc-b\n",
            "etc/an4_test.transcription": "FOUR (an5-mxyz-b)\n",
            "etc/an4_test.fileids": "an4test_clstk/mxyz/an5-mxyz-b\n",
            "wav/an4_clstk/fash/an1-fash-b.sph": "",
            "wav/an4_clstk/fash/an2-fash-b.raw": "",
            "wav/an4_clstk/mabc/an3-mabc-b.wav": "",
            "wav/an4_clstk/mabc/an3-mabc-b.raw": "",
        },
    )
    records = list(READERS["an4"](tmp_path))
    found = [(e.audio_filepath.name, e.text.split(), e.utterance_id, e.speaker) for e in entries(records)]
    assert found == [
        ("an1-fash-b.sph", ["HELLO", "ROAD"], "an1-fash-b", "fash"),
        ("an3-mabc-b.wav", ["TWO"], "an3-mabc-b", "mabc"),
    ]
    assert reasons(records) == [
        ("an4_train.transcription", "malformed line"),
        ("an2-fash-b.raw", "headerless audio"),
        ("an4-mabc-b.sph", "no transcript"),
        ("an9-mabc-b", "missing file"),
    ]
    assert [entry.text.strip() for entry in entries(READERS["an4"](tmp_path, split="test"))] == ["FOUR"]


def test_spoken_digits_are_split_by_their_takes(tmp_path: Path) -> None:
    names = ["7_jackson_4", "7_jackson_5", "0_van_der_10", "seven"]
    lay_out(tmp_path, {f"recordings/{name}.wav": "" for name in names})
    records = list(READERS["fsdd"](tmp_path))
    assert [(entry.text, entry.speaker) for entry in entries(records)] == [
        ("zero", "van_der"),
        ("seven", "jackson"),
        ("seven", "jackson"),
    ]
    assert reasons(records) == [("seven.wav", "unexpected name")]
    for split, expected in {"test": "7_jackson_4", "validation": "7_jackson_5", "train": "0_van_der_10"}.items():
        assert [entry.utterance_id for entry in entries(READERS["fsdd"](tmp_path, split=split))] == [expected]


def test_a_kaldi_folder_without_segments_has_an_utterance_a_recording(tmp_path: Path) -> None:
    lay_out(
        tmp_path,
        {
            "wav.scp": "u1 wavs/u1.wav\nu2 sph2pipe -f wav /x/u2.sph |\nu3 /elsewhere/u3.wav\nu4 wavs/u4.wav\n",
            "text": "u1 ONE TWO\nu2 THREE\nu3\nu5 FIVE\n",
            "utt2spk": "u1 ann\n",
            "wavs/u1.wav": "",
        },
    )
    records = list(READERS["kaldi"](tmp_path))
    assert entries(records) == [
        Entry(tmp_path / "wavs/u1.wav", "ONE TWO", "u1", speaker="ann"),
        Entry(Path("/elsewhere/u3.wav"), "", "u3"),
    ]
    assert [rejection.reason for rejection in records if isinstance(rejection, Rejection)] == [
        "command",
        "no transcript",
        "missing file",
    ]


def test_kaldi_segments_are_parts_of_recordings(tmp_path: Path) -> None:
    lay_out(
        tmp_path,
        {
            "wav.scp": "call call.wav\n",
            "segments": "u1 call 0.5 1.25\nu2 call 2 -1\nu3 call 3 2\nu4 other 0 1\nu5\nu6 call 0 1 A\nu7 call nan 1\n",
            "text": "".join(f"u{i} ONE\n" for i in range(1, 8)),
            "call.wav": "",
        },
    )
    records = list(READERS["kaldi"](tmp_path))
    assert entries(records) == [
        Entry(tmp_path / "call.wav", "ONE", "u1", start=0.5, end=1.25),
        Entry(tmp_path / "call.wav", "ONE", "u2", start=2.0, end=None),
    ]
    rejected = [(r.detail.partition(":")[0], r.reason) for r in records if isinstance(r, Rejection)]
    malformed = "malformed line"
    assert rejected == [
        ("u3", malformed),
        ("u4", "missing file"),
        ("u5", malformed),
        ("u6", malformed),
        ("u7", malformed),
    ]


def test_a_folder_pairs_each_recording_with_the_text_of_its_name(tmp_path: Path) -> None:
    lay_out(
        tmp_path, {"b.WAV": "", "b.txt": "\ufeffBee\n", "a/1.flac": "", "a/1.txt": "One", "c.ogg": "", "d.txt": "Dee"}
    )
    (tmp_path / "e.mp3").touch()
    (tmp_path / "e.txt").write_bytes(b"\xff\xfe")
    records = list(READERS["folder"](tmp_path))
    assert entries(records) == [
        Entry(tmp_path / "a/1.flac", "One", "a/1"),
        Entry(tmp_path / "b.WAV", "Bee\n", "b"),
    ]
    assert reasons(records) == [
        ("c.ogg", "no transcript"),
        ("e.mp3", "unreadable transcript"),
        ("d.txt", "missing file"),
    ]


def test_a_table_is_read_by_its_usual_column_names_or_by_those_given(tmp_path: Path) -> None:
    table = lay_out(tmp_path, {"m.csv": 'path,sentence,speaker,clean\nw/a.b.wav,"Hi, you",ann,hi you\n'}) / "m.csv"
    audio = tmp_path / "w/a.b.wav"
    assert list(READERS["csv"](table)) == [Entry(audio, "Hi, you", "w/a.b", speaker="ann")]
    chosen = READERS["csv"](table, text_column="clean", speaker_column="sentence")
    assert list(chosen) == [Entry(audio, "hi you", "w/a.b", speaker="Hi, you")]


def test_recordings_that_differ_in_their_ending_alone_have_names_of_their_own(tmp_path: Path) -> None:
    lay_out(tmp_path, {"a.wav": "", "a.flac": "", "a.txt": "One", "b.wav": "", "b.txt": "Two"})
    names = [each.utterance_id for each in READERS["folder"](tmp_path) if isinstance(each, Entry)]
    assert sorted(names) == ["a.flac", "a.wav", "b"]


@pytest.mark.parametrize("columns", ["start,end", "offset,duration", "end,speed"])
def test_rows_of_parts_of_recordings_are_rejected_with_the_remedy(tmp_path: Path, columns: str) -> None:
    table = lay_out(tmp_path, {"m.csv": f"path,text,{columns}\na.wav,one,0.5,1.5\nb.wav,two,,\n"}) / "m.csv"
    part, whole = READERS["csv"](table)
    assert isinstance(part, Rejection)
    assert (part.audio_filepath, part.reason) == (str(tmp_path / "a.wav"), "part of a recording")
    assert part.detail == "m.csv:2: a start or end; cut the recordings, or list the parts in a Kaldi folder"
    assert whole == Entry(tmp_path / "b.wav", "two", "b")


def test_a_column_that_was_asked_for_by_name_must_be_there(tmp_path: Path) -> None:
    table = lay_out(tmp_path, {"m.csv": "path,text\na.wav,one\n"}) / "m.csv"
    with pytest.raises(ManifestError, match="no column who"):
        list(READERS["csv"](table, speaker_column="who"))


def test_a_row_without_a_path_still_yields_something_to_report(tmp_path: Path) -> None:
    table = lay_out(tmp_path, {"m.csv": "path,text\n,one\na.wav,two,three\n"}) / "m.csv"
    first, second = READERS["csv"](table)
    assert first == Entry(tmp_path, "one", "")
    assert isinstance(second, Rejection)
    assert second.reason == "malformed line"


def test_names_that_no_file_can_have_are_rejected_one_by_one(tmp_path: Path) -> None:
    long = "x" * 3000
    lay_out(tmp_path / "kaldi", {"wav.scp": f"a {long}.wav\nb b.wav\n", "text": "a ONE\nb TWO\n", "b.wav": ""})
    assert [entry.utterance_id for entry in entries(READERS["kaldi"](tmp_path / "kaldi"))] == ["a", "b"]
    lay_out(
        tmp_path / "an4",
        {
            "etc/an4_train.transcription": f"<s> ONE </s> ({long})\n<s> TWO </s> (b)\n<s> THREE </s> (.)\n",
            "etc/an4_train.fileids": f"d/{long}\n.\nd/b\n",
            "wav/d/b.wav": "",
        },
    )
    found = entries(READERS["an4"](tmp_path / "an4"))
    assert found[-1] == Entry(tmp_path / "an4/wav/d/b.wav", "  TWO   ", "b", speaker="d")
