"""The entry point `python -m asr.transcribe`; the verb is `asr.cli.transcribe`."""

from asr.cli.terminal import run_command

if __name__ == "__main__":
    raise SystemExit(run_command("asr.cli.transcribe"))
