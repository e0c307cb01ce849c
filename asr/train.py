"""The entry point `python -m asr.train`; the verb is `asr.cli.train`."""

from asr.cli.train import main

if __name__ == "__main__":
    raise SystemExit(main())
