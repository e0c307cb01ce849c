"""Write the ONNX graphs with which recurrent language models are computed; run it after changing one of them.

Weights are inputs of a graph, so three small graphs serve models of any size and number of word classes. The step of
the LSTM computes with the 8 bits that its weights are stored in: 9 microseconds a word in place of 23 (hidden size 512,
100 at once, one thread), and in a browser 75 in place of 180 (20 at once).
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
    # The state lies within (-1, 1). In 7 bits, two products with a weight in 8 fit in 16 bits, in which processors
    # without VNNI add them. One scale for all states leaves each the same in any batch.
    "step": """
step (float[n, g] gates, float[n, h] hidden, float[n, h] cell, int8[h, g] hidden_weight, float[g] hidden_scales)
    => (float[n, h] next_hidden, float[n, h] next_cell)
{
    resolution = Constant<value = float {0.015873016}>()
    zero = Constant<value = uint8 {64}>()
    codes = QuantizeLinear(hidden, resolution, zero)
    sums = MatMulInteger(codes, hidden_weight, zero)
    products = Cast<to = 1>(sums)
    scales = Mul(hidden_scales, resolution)
    scaled = Mul(products, scales)
    activations = Add(scaled, gates)
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
