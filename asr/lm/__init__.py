"""Language models of words, and the internal LM of characters, without PyTorch.

Text becomes numbers (`corpus`), numbers become counts (`counts`), counts a smoothed n-gram model (`kneser_ney`), and
that a smaller one (`pruning`); `training` does all of it. The n-gram model itself (`ngram`) is a trie in flat arrays,
with a small file (`packing`); `arpa` exchanges it with other toolkits. A recurrent model (`recurrent`) scores n-best
lists on ONNX Runtime. Both kinds follow one protocol (`language_model`), by which their `perplexity` is measured.
"""
