"""Write sentences that people dictate, for a language model or for synthetic speech.

    python scripts/make_dictation.py DICTIONARY --output dictation.txt --sentences 40000

Prose holds few spelled names, telephone numbers and addresses, so a model of prose takes them for other words. A third
of the sentences are names spelled letter by letter, a third are numbers said digit by digit, a third are addresses.
"""

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a script, its own folder stands there

from asr.cli.overwriting import add_overwrite_argument, replacing
from asr.cli.terminal import run_command
from asr.cli.values import positive_count, seed_number
from asr.errors import LanguageModelError
from asr.files import read_text, write_atomically

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_ROADS = (
    "street",
    "road",
    "avenue",
    "lane",
    "drive",
    "boulevard",
    "way",
    "court",
    "place",
    "square",
    "terrace",
    "hill",
)
_OH = 0.1  # of the numbers say oh for zero
_NAMES = (1, 2, 2)
_ADDRESSES = ("{number} {name} {road}", "{number} {name} {road} {number}", "{number} {name} {name} {road} {number}")


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dictionary", type=Path, help="The names: the first word of each line, such as CMUDICT.")
    parser.add_argument("--output", type=Path, required=True, help="Text to write, one sentence a line.")
    parser.add_argument("--sentences", type=positive_count, default=40_000, metavar="N", help="Default: %(default)s.")
    parser.add_argument("--seed", type=seed_number, default=0, metavar="N", help="Default: %(default)s.")
    add_overwrite_argument(parser)
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Write the sentences."""
    with replacing([arguments.output], [arguments.dictionary], overwrite=arguments.overwrite):
        chance = random.Random(arguments.seed)
        names = read_names(arguments.dictionary)
        kinds = (say_spelling, say_number, say_address)
        lines = [kinds[index % len(kinds)](chance, names) for index in range(arguments.sentences)]
        write_atomically(arguments.output, "\n".join(lines) + "\n")
    return 0


def read_names(dictionary: Path) -> list[str]:
    """Return the words of a pronunciation dictionary that have three letters or more, and letters only."""
    try:
        lines = read_text(dictionary).splitlines()
    except UnicodeDecodeError as error:
        raise LanguageModelError(f"{dictionary}: is no text in UTF-8; expected a pronunciation dictionary") from error
    words = (line.split(maxsplit=1)[0].lower() for line in lines if line.strip())
    names = sorted({word for word in words if word.isascii() and word.isalpha() and len(word) > 2})
    if not names:
        raise LanguageModelError(
            f"{dictionary}: no word of three letters or more, a to z; expected a word and its phones on each line"
        )
    return names


def say_spelling(chance: random.Random, names: Sequence[str]) -> str:
    """Spell one name or two."""
    return " ".join("".join(chance.choices(names, k=chance.choice(_NAMES))))


def say_number(chance: random.Random, names: Sequence[str], *, shortest: int = 3, longest: int = 11) -> str:
    """Say the digits of a number."""
    digits = chance.choices(_DIGITS, k=chance.randint(shortest, longest))
    spoken = " ".join(digits)
    return spoken.replace("zero", "oh") if chance.random() < _OH else spoken


def say_address(chance: random.Random, names: Sequence[str]) -> str:
    """Say the number of a house and its road."""
    words = chance.choice(_ADDRESSES).split()
    said = {"{road}": lambda: chance.choice(_ROADS), "{name}": lambda: chance.choice(names)}
    return " ".join(said.get(word, lambda: say_number(chance, names, shortest=1, longest=4))() for word in words)


if __name__ == "__main__":
    sys.exit(run_command(__name__))
