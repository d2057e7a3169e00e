"""The main job from Python, in ten lines.

Try: python examples/ten_lines.py [BARS]
"""

import sys

import foresail

bars = sys.argv[1] if len(sys.argv) > 1 else "embedded:us20"  # a file, a described folder, or an imported set
result = foresail.run(bars, names=8, until="1996-12-31", out="runs/ten-lines", force=True)
print(result.verdict)
print("\n".join(result.reasons))
net, equal_weights = result.metrics["net"], result.metrics["benchmarks"]["one_over_n"]
print(f"net {net['annual_return']:+.1%} a year, 1/N of the same names {equal_weights['annual_return']:+.1%}")
print(result.table("equity").set_index("end")[["gross", "net", "one_over_n"]].tail())
print(result.report)
