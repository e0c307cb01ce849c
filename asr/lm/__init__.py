"""Word n-gram models, with numpy alone.

Text becomes numbers (`corpus`), numbers become counts (`counts`), counts a smoothed model (`kneser_ney`), and that a
smaller one (`pruning`). The model itself (`ngram`) is a trie in flat arrays, with a small file (`packing`); other
toolkits are met in ARPA form (`arpa`).
"""
