"""The entry point `python -m asr.transcribe`; the verb is `asr.cli.transcribe`."""

from asr.cli.transcribe import main

if __name__ == "__main__":
    raise SystemExit(main())
