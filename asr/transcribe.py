"""The entry point `python -m asr.transcribe`; the verb is `asr.cli.transcribe`."""

from asr.cli.signals import leave
from asr.cli.terminal import run_command

if __name__ == "__main__":
    leave(run_command("asr.cli.transcribe"))
