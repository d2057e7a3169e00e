"""Features of order books: a compiled step over a stream of events, the same for history and live."""
