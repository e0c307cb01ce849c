"""Two reports on the same utterances to what changed between them: rates, whether by chance, and where.

Both are the JSON data of `detail_report`, so that a report of long ago, or of another program, can be the baseline.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from asr.data.manifest import Utterance
from asr.errors import ASRError
from asr.evaluation.details import FORMAT_VERSION
from asr.files import read_text
from asr.metrics import ErrorCounts, compare_paired, error_rate
from asr.text import normalize_text

_Pair: TypeAlias = tuple[Mapping[str, Any], Mapping[str, Any]]  # an utterance as it is now and as it was


@dataclass(frozen=True, slots=True)
class _Utterance:
    """What a comparison takes from an utterance of a report."""

    corpus: str | None
    utterance_id: str
    reference: str
    hypothesis: str
    words: ErrorCounts
    steps: list[Any]


def read_report(path: Path) -> dict[str, Any]:
    """Read a report that can be compared with.

    Args:
        path: A `report.json`.

    Returns:
        Its data.

    Raises:
        ASRError: If the file is missing, or not a report of this format.
    """
    try:
        fields = json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise ASRError(f"{path}: cannot be read as a report ({error}); give the report.json of --report") from error
    version = fields.get("format_version") if isinstance(fields, dict) else None
    if version != FORMAT_VERSION or not isinstance(fields.get("utterances"), list):
        raise ASRError(
            f"{path}: is no report of format {FORMAT_VERSION} (found {version}); write it again with --report"
        )
    for number, utterance in enumerate(fields["utterances"], start=1):
        try:
            counts = msgspec.convert(utterance, _Utterance).words
        except (msgspec.ValidationError, UnicodeError, RecursionError) as error:
            raise ASRError(
                f"{path}: utterance {number} lacks what a report holds ({error}); write it again with --report"
            ) from error
        if not counts.reference_length or min(asdict(counts).values()) < 0:
            raise ASRError(
                f"{path}: utterance {number} counts no word, or fewer than none; write it again with --report"
            )
    return dict(fields)


def require_common(baseline: Mapping[str, Any], utterances: Sequence[Utterance]) -> None:
    """Refuse a baseline of other recordings before any is recognised.

    Args:
        baseline: What `read_report` returned.
        utterances: What will be evaluated.

    Raises:
        ASRError: If the two have no utterance in common.
    """
    earlier = {_key(utterance) for utterance in baseline["utterances"]}
    if not any((each.corpus, each.utterance_id, normalize_text(each.text)) in earlier for each in utterances):
        raise ASRError("the baseline has no utterance of this manifest; compare reports on the same recordings")


def compare_reports(fields: Mapping[str, Any], baseline: Mapping[str, Any]) -> dict[str, Any]:
    """Set a report beside another.

    Args:
        fields: The report.
        baseline: The report to compare it with; what the two have in common counts.

    Returns:
        The report with `comparison`: the figures of all utterances and of each corpus; and, in each utterance that the
        baseline has too, `baseline`: what that made of it.

    Raises:
        ASRError: If the two have no utterance in common.
    """
    earlier = dict(_number(baseline["utterances"]))
    found = [(each, earlier.get(key)) for key, each in _number(fields["utterances"])]
    pairs = [(each, before) for each, before in found if before is not None]
    if not pairs:
        raise ASRError("the baseline has no utterance of this manifest; compare reports on the same recordings")
    corpora = sorted({each["corpus"] for each, _ in pairs if each["corpus"] is not None})
    groups = [(name, [pair for pair in pairs if pair[0]["corpus"] == name]) for name in corpora]
    return {
        **fields,
        "utterances": [_add_baseline(each, before) for each, before in found],
        "comparison": {
            "about": baseline.get("about", {}),
            "overall": _compare("all", pairs),
            "corpora": [_compare(name, members) for name, members in groups],
        },
    }


def _key(utterance: Mapping[str, Any]) -> tuple[Any, ...]:
    """Tell an utterance from others; a reference that was corrected makes it another."""
    return utterance["corpus"], utterance["utterance_id"], utterance["reference"]


def _number(utterances: Sequence[Mapping[str, Any]]) -> Iterator[tuple[tuple[Any, ...], Mapping[str, Any]]]:
    """Name utterances so that one that is there twice is compared with the first one and the second one."""
    seen: Counter[tuple[Any, ...]] = Counter()
    for each in utterances:
        seen[_key(each)] += 1
        yield (*_key(each), seen[_key(each)]), each


def _add_baseline(utterance: Mapping[str, Any], earlier: Mapping[str, Any] | None) -> dict[str, Any]:
    """Add what the baseline made of an utterance."""
    if earlier is None:
        return dict(utterance)
    return {**utterance, "baseline": {key: earlier[key] for key in ("hypothesis", "words", "steps")}}


def _compare(name: str, pairs: Sequence[_Pair]) -> dict[str, Any]:
    """Compare the words of some utterances."""
    now = [_count(each["words"]) for each, _ in pairs]
    before = [_count(each["words"]) for _, each in pairs]
    return {
        "name": name,
        "utterances": len(pairs),
        "baseline_word_error_rate": error_rate(before),
        "word_error_rate": error_rate(now),
        "better": sum(mine.errors < other.errors for mine, other in zip(now, before, strict=True)),
        "worse": sum(mine.errors > other.errors for mine, other in zip(now, before, strict=True)),
        **asdict(compare_paired(now, before)),
    }


def _count(words: Mapping[str, int]) -> ErrorCounts:
    """Read the edits of an utterance."""
    return ErrorCounts(**{name: words[name] for name in ErrorCounts.__dataclass_fields__ if name in words})
