"""Posteriors become hypotheses in two passes: a decoder finds them, rescorers put them into a new order."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from asr.acoustic.posteriors import Posteriors
from asr.decoding.decoder import Decoder, Hypothesis, Rescorer


@dataclass(frozen=True, slots=True)
class TwoPassDecoder:
    """Decodes, then rescores with each rescorer in turn.

    Attributes:
        first_pass: Finds hypotheses.
        rescorers: Put them into a new order; none leaves the first pass as it is.
        threads: Utterances to decode at once.
    """

    first_pass: Decoder
    rescorers: tuple[Rescorer, ...] = ()
    threads: int = 1

    def decode(self, posteriors: Sequence[Posteriors]) -> list[list[Hypothesis]]:
        """Decode utterances.

        Args:
            posteriors: Those of each utterance.

        Returns:
            The hypotheses of each, the best first: as many as were asked for, or more.
        """
        if self.threads == 1 or len(posteriors) == 1:
            hypotheses = [self.first_pass.decode(each) for each in posteriors]
        else:
            with ThreadPoolExecutor(self.threads) as pool:  # the beam search releases the interpreter lock
                hypotheses = list(pool.map(self.first_pass.decode, posteriors))
        for rescorer in self.rescorers:
            hypotheses = rescorer.rescore(hypotheses, posteriors)
        return hypotheses
