"""Lets these tests share ``market_files`` and ``commands``: under importlib mode a test's folder is not on the path."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
