"""Editors and judges, one file a backend. Importing any of them imports no model library."""

from __future__ import annotations
