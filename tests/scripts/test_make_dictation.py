"""The sentences that people dictate, for language models."""

import subprocess
import sys
from pathlib import Path

from scripts import make_dictation

SCRIPT = Path(make_dictation.__file__)


def write(dictionary: Path, output: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), str(dictionary), "--output", str(output), *more]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_sentences_are_spellings_numbers_and_addresses_in_turn(tmp_path: Path) -> None:
    dictionary = tmp_path / "names.dict"
    dictionary.write_text("aa AA\nrobles R OW B L EH S\nrobles(2) R OW\nd'arcy D\n", encoding="utf-8")
    result = write(dictionary, tmp_path / "out.txt", "--sentences", "30")
    assert result.returncode == 0, result.stderr
    lines = (tmp_path / "out.txt").read_text().splitlines()
    digits = {"zero", "oh", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"}
    assert {line.replace(" ", "") for line in lines[::3]} <= {"robles", "roblesrobles"}
    assert all(set(line.split()) <= digits for line in lines[1::3])
    assert all("robles" in line and line.split()[0] in digits for line in lines[2::3])


def test_dictionary_without_names_is_refused_in_one_line(tmp_path: Path) -> None:
    dictionary = tmp_path / "names.dict"
    dictionary.write_text("1 2\n", encoding="utf-8")
    result = write(dictionary, tmp_path / "out.txt")
    assert result.returncode == 2
    expected = "no word of three letters or more, a to z; expected a word and its phones on each line"
    assert result.stderr.splitlines() == [f"error: {dictionary}: {expected}"]
    assert not (tmp_path / "out.txt").exists()


def test_nothing_is_written_over_and_what_is_missing_is_named(tmp_path: Path) -> None:
    dictionary, output = tmp_path / "names.dict", tmp_path / "mine.txt"
    dictionary.write_text("CAB  K AE B\n", encoding="utf-8")
    output.write_text("precious\n", encoding="utf-8")
    for arguments, message in (
        ((dictionary, dictionary), "names.dict: would be written over while it is read"),
        ((dictionary, output), "mine.txt: exists, and asr did not write it"),
        ((tmp_path / "none", tmp_path / "new.txt"), "none: No such file or directory; check the path"),
    ):
        result = write(*arguments)
        assert result.returncode == 2
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert output.read_text(encoding="utf-8") == "precious\n"
    assert write(dictionary, output, "--sentences", "1", "--overwrite").returncode == 0
    assert output.read_text(encoding="utf-8").replace(" ", "").startswith("cab")
