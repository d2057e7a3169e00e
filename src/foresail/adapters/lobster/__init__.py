"""LOBSTER: reconstructed Nasdaq books, a message file and a book file of the same lines."""
