"""``python -m editbench``."""

from __future__ import annotations

from editbench.cli.app import main

if __name__ == "__main__":
    main()
