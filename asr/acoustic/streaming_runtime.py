"""The network on a stream, on ONNX Runtime: a waveform that grows becomes log-probabilities, chunk by chunk.

    samples → FeatureStream → features → StepRuntime → log_probs of a chunk for good, and of the sound after it for now

The graph is that of `asr.acoustic.stepping`. The session is shared by all streams; each keeps its own states.
"""

import math
from dataclasses import dataclass
from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from asr.acoustic.config import ModelConfig
from asr.acoustic.feature_stream import FeatureStatistics, FeatureStream
from asr.acoustic.graph import quantize_steps
from asr.acoustic.network import Network
from asr.acoustic.onnx_runtime import open_session, stored_weights
from asr.acoustic.posteriors import Posteriors
from asr.acoustic.quantization import Precision, choose_precision
from asr.errors import BundleError

States: TypeAlias = tuple[NDArray[np.float32], ...]

# The second convolution takes a frame of the network more on each side, and the first one two features beyond that.
_CONV_REACH = 2
_PHONES = "phone_log_probs"  # an output of the graph
_AFTER = "_out"  # ends the names of outputs that are states


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What a step gives.

    Attributes:
        posteriors: Of the chunk and of the right context.
        states: Of the forward cells after the chunk.
    """

    posteriors: Posteriors
    states: States


@final
class StepRuntime:
    """Runs steps of any number of streams; several threads may use it at once."""

    def __init__(self, network: Network, graph: bytes, precision: Precision = "float32") -> None:
        """Start a session.

        Args:
            network: The network.
            graph: The ONNX graph of its steps.
            precision: What LSTMs are computed in, as `asr.acoustic.runtime.open_runtime` takes it.

        Raises:
            BundleError: If the graph does not fit the weights, or an LSTM is asked for and there is none.
        """
        self.config = network.config
        weights = stored_weights(network, graph)
        if choose_precision(precision, network.config) == "int8":
            graph, weights = quantize_steps(graph, network.config, weights)
        self._session, self._weights = open_session(graph, weights, "streaming.onnx")
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._state_names = [name.removesuffix(_AFTER) for name in self._outputs if name.endswith(_AFTER)]

    def initial_states(self) -> States:
        """Return the states before the first chunk."""
        shape = (self.config.num_layers, 1, self.config.hidden_size)
        return tuple(np.zeros(shape, np.float32) for _ in self._state_names)

    def step(self, features: NDArray[np.float32], skip: int, keep: int, states: States) -> Step:
        """Run a step.

        Args:
            features: Left context, chunk and right context, shape `(frames, num_features)`.
            skip: Frames of the network that the left context takes.
            keep: Frames of the network in the chunk, at least 1, and fewer than there are after `skip`.
            states: Those after the chunk before.

        Returns:
            What the network makes of it.

        Raises:
            BundleError: If the network gives NaN.
        """
        numbers = {"features": features[None], "skip": np.array(skip, np.int64), "keep": np.array(keep, np.int64)}
        before = dict(zip(self._state_names, states, strict=True))
        given = dict(zip(self._outputs, self._session.run(None, {**numbers, **before}), strict=True))
        if np.isnan(given["log_probs"]).any():
            raise BundleError("the network gave NaN; its weights are damaged, so restore or train the model again")
        posteriors = Posteriors(given["log_probs"][0], given[_PHONES][0] if _PHONES in given else None)
        return Step(posteriors, tuple(given[f"{name}{_AFTER}"] for name in self._state_names))


@final
class StreamScorer:
    """Scores one stretch of sound while it comes in.

    Attributes:
        num_scored: Frames of the network that are final.
    """

    def __init__(self, runtime: StepRuntime, prior: FeatureStatistics) -> None:
        """Begin.

        Args:
            runtime: Runs the network.
            prior: What features are like before any sound has come.
        """
        self._runtime = runtime
        self._features = FeatureStream(runtime.config.features, prior)
        self._states = runtime.initial_states()
        self.num_scored = 0

    @property
    def num_waiting(self) -> int:
        """The frames of the network whose sound has begun to come, and that are not final."""
        return -(-self._features.num_frames // self._runtime.config.subsampling) - self.num_scored

    def accept(self, samples: NDArray[np.float32]) -> None:
        """Take the next samples.

        Args:
            samples: Shape `(num_samples,)`, at the model's rate.
        """
        self._features.accept(samples)

    def advance(self, chunk: int, context: int) -> Posteriors:
        """Score the next chunk for good.

        Args:
            chunk: Its frames, at least 1.
            context: Frames after it to look at, at least `min_context`; with the chunk no more than are waiting.

        Returns:
            Those of the chunk and of the context; those of the context are provisional.
        """
        step = self._step(chunk + context, chunk)
        self._states = step.states
        self.num_scored += chunk
        return step.posteriors

    def preview(self) -> Posteriors:
        """Score what is waiting, provisionally.

        Returns:
            Those of the frames that are waiting; there have to be two at least.
        """
        return self._step(self.num_waiting, 1).posteriors

    def _step(self, frames: int, keep: int) -> Step:
        """Run the network over some of the frames that are waiting."""
        subsampling = self._runtime.config.subsampling
        skip = min(self.num_scored, min_context(self._runtime.config))
        begin = (self.num_scored - skip) * subsampling
        features = self._features.normalized(begin, (self.num_scored + frames) * subsampling)
        return self._runtime.step(features, skip, keep, self._states)


def min_context(config: ModelConfig) -> int:
    """Count the frames of the network on each side that the convolutions reach to."""
    return 1 + math.ceil(_CONV_REACH / config.subsampling)
