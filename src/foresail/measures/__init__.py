"""Pure mathematics: returns, performance, forecast errors, resampling and honesty statistics. No state, no I/O."""
