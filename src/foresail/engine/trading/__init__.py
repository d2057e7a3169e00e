"""The engine of money: one fold for backtest, paper and live, and the shells around it."""
