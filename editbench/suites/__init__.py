"""Formats in, pairs out; rubrics, verdict parsing and the formulas that average them."""

from __future__ import annotations
