"""The Temporal Fusion Transformer: quantiles over several steps, with weights and attention that explain them."""
