"""Yahoo Finance, for users with a network: daily bars of US stocks. Its terms allow personal use; none is shipped."""
