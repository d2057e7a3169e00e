"""Features of any bars from Python, and what to know about one.

Try: python examples/features.py [BARS]
"""

import sys

import foresail

bars = sys.argv[1] if len(sys.argv) > 1 else "embedded:us20"
result = foresail.compute_features("rsi_14,macd,sma_50@1w,volume_ratio_20", bars=bars, until="1995-12-31")
print(result)
for name, why in result.absent.items():
    print(f"absent: {name}: {why}")
print(result.frame("rsi_14").iloc[:, :3].tail(3).round(3))

# What a model sees is free of units: the MACD as a share of the close.
model = foresail.compute_features(["macd"], bars=bars, until="1995-12-31", form="model")
print(model.frame("macd").abs().max().max() < 1.0)
print(result.features_hash[:16])
