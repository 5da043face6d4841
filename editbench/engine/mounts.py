"""Which file system a folder is on, as far as the system says."""

from __future__ import annotations

import re
from pathlib import Path

_NETWORK = re.compile(
    r"nfs4?|cifs|smb\w*|lustre|gpfs|beegfs|ceph|9p|afs|glusterfs|fuse\.(?!fuse-overlayfs).+"
)


def filesystem(folder: Path, *, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """Return the type of the file system of a folder, such as ``ext4``; empty if unknown."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    best, kind = -1, ""
    real = folder.resolve()
    for line in lines:
        fields = line.split(" ")
        if "-" not in fields:
            continue
        point = Path(re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), fields[4]))
        # Later lines win: what was mounted last on a place is what is seen there.
        if len(point.parts) >= best and (real == point or point in real.parents):
            best, kind = len(point.parts), fields[fields.index("-") + 1]
    return kind


def is_network(kind: str) -> bool:
    """Tell whether SQLite's locks are known to be unreliable on this type of file system."""
    return _NETWORK.fullmatch(kind) is not None
