"""Statistics over outcomes, and the files and tables that show them."""

from __future__ import annotations
