"""A manifest without its problems, and a list of what was left out and why."""

from collections import defaultdict
from dataclasses import asdict
from pathlib import Path

from asr.checks.examination import Examination
from asr.checks.findings import WRONG_DURATION, Finding
from asr.data.corpora import Rejection
from asr.data.manifest import rejected_path, write_manifest
from asr.errors import ManifestError
from asr.files import dump_line, write_atomically


def write_cleaned(path: Path, examination: Examination) -> tuple[int, int]:
    """Write the first manifest that was examined without the utterances that have problems.

    Durations are put right, and what has warnings alone stays. What was left out is listed in `PATH.rejected.jsonl`,
    a line for each problem.

    Args:
        path: The manifest to write.
        examination: What was found.

    Returns:
        The utterances written, and those left out.

    Raises:
        ManifestError: If the path is that of a manifest examined, or no utterance is without problems.
    """
    if path.resolve() in {entry.manifest.resolve() for entry in examination.entries}:
        raise ManifestError(f"{path}: is a manifest that was examined; name another file to write")
    problems: defaultdict[str, list[Finding]] = defaultdict(list)
    for finding in examination.problems:
        if finding.kind is not WRONG_DURATION:
            problems[finding.entry.location].append(finding)
    first = examination.entries[0].manifest
    entries = [entry for entry in examination.entries if entry.manifest == first]
    kept = [entry.utterance for entry in entries if entry.location not in problems]
    if not kept:
        raise ManifestError(f"{first}: each of its {len(entries)} utterances has problems; nothing is left to write")
    rejections = [
        Rejection(str(entry.utterance.audio_filepath), finding.kind.name, f"{entry.location}: {finding.detail}")
        for entry in entries
        for finding in problems[entry.location]
    ]
    lines = (dump_line(asdict(rejection)) for rejection in rejections)
    write_atomically(rejected_path(path), "".join(lines))
    return write_manifest(path, kept), len(entries) - len(kept)
