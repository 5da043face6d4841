"""Plans and executes runs. Knows no model library's pipelines, no terminal, no suite format."""

from __future__ import annotations
