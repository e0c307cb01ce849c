"""The model card that a training run writes into its bundle."""

import json

from asr.bundle import Bundle

_CARD = """# Speech recognition model

A {cell} network of {num_layers} layers with {hidden_size} units in each direction, trained with CTC on characters.
{num_parameters:,} parameters; one output frame every {frame_shift:.0f} ms; audio at {sample_rate} Hz.

## Alphabet

`{alphabet}`

## Training

After {updates} updates (epoch {epoch}); the error rates are those of greedy decoding on the validation manifest,
in which CER counts spaces.

```json
{training}
```

## Licences and limits

The licences of the recordings named above bind what may be done with this model: add them here before you share it.
It knows what it was trained on: other accents, rooms and microphones will cost accuracy. Measure with
`python -m asr evaluate --manifest YOUR.jsonl --model THIS_FOLDER`.
"""


def render_card(bundle: Bundle) -> str:
    """Write a model card from what the run knows.

    Args:
        bundle: The model, its alphabet and how it came to be.

    Returns:
        Markdown.
    """
    config = bundle.config
    return _CARD.format(
        cell=("bidirectional " if config.bidirectional else "") + config.cell,
        num_layers=config.num_layers,
        hidden_size=config.hidden_size,
        num_parameters=sum(array.size for array in bundle.network.weights.values()),
        frame_shift=1000 * bundle.config.frame_shift,
        sample_rate=bundle.config.sample_rate,
        alphabet="".join(bundle.tokenizer.characters),
        updates=bundle.training["updates"],
        epoch=bundle.training["epoch"],
        training=json.dumps(bundle.training, indent=2, ensure_ascii=False),
    )
