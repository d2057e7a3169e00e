"""From forecasts to decisions: rules that judge, a ranking that chooses, sentences that explain."""
