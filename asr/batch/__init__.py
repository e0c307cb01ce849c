"""Many recordings at a time: which ones are meant, the files of their results, and a summary of what became of each."""
