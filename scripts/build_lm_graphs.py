"""Write the ONNX graphs with which recurrent language models are computed; run it after changing one of them.

Weights are inputs of a graph, so three small graphs serve models of any size and number of word classes. As constants
inside a graph they would be packed once, not in each call; measured for the LSTM step (hidden size 512, 20 hypotheses,
one thread), a call takes 0.8 ms and not 0.5 ms, but the graph opens in 1 ms and not in 8 ms.
"""

import sys
from pathlib import Path

import onnx.parser

FOLDER = Path(__file__).parents[1] / "asr" / "lm" / "graphs"
HEADER = '<ir_version: 8, opset_import: ["" : 17]>'

# `h` is the hidden size; the gates are input, forget, candidate and output, in the order of PyTorch.
GRAPHS = {
    "affine": """
affine (float[n, k] vectors, float[m, k] weight, float[c] bias) => (float[n, m] outputs)
{
    outputs = Gemm<transB = 1>(vectors, weight, bias)
}
""",
    "step": """
step (float[n, g] gates, float[n, h] hidden, float[n, h] cell, float[g, h] hidden_weight)
    => (float[n, h] next_hidden, float[n, h] next_cell)
{
    activations = Gemm<transB = 1>(hidden, hidden_weight, gates)
    input_gate, forget_gate, candidate, output_gate = Split<axis = 1>(activations)
    opened = Sigmoid(input_gate)
    kept = Sigmoid(forget_gate)
    proposed = Tanh(candidate)
    shown = Sigmoid(output_gate)
    retained = Mul(kept, cell)
    added = Mul(opened, proposed)
    next_cell = Add(retained, added)
    squashed = Tanh(next_cell)
    next_hidden = Mul(shown, squashed)
}
""",
    # LogSoftmax over all words and some picked, each with its row: ReduceLogSumExp, which writes less, is three to ten
    # times slower.
    "log_softmax": """
log_softmax (float[r, k] vectors, float[m, k] weight, int64[n] rows, int64[n] words) => (float[n] log_probs)
{
    logits = Gemm<transB = 1>(vectors, weight)
    all_log_probs = LogSoftmax<axis = 1>(logits)
    axis = Constant<value_ints = [1]>()
    first = Unsqueeze(rows, axis)
    second = Unsqueeze(words, axis)
    places = Concat<axis = 1>(first, second)
    log_probs = GatherND(all_log_probs, places)
}
""",
}


def build_graph(name: str) -> onnx.ModelProto:
    """Parse and check the graph of a name in `GRAPHS`."""
    model = onnx.parser.parse_model(HEADER + GRAPHS[name])
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> int:
    """Write every graph."""
    FOLDER.mkdir(exist_ok=True)
    for name in GRAPHS:
        (FOLDER / f"{name}.onnx").write_bytes(build_graph(name).SerializeToString())
    return 0


if __name__ == "__main__":
    sys.exit(main())
