from __future__ import annotations

from pathlib import Path

import pytest

from editbench.engine.mounts import filesystem, is_network

TABLE = r"""
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 22 0:25 / /net/my\040disk rw - nfs4 server:/export rw
31 30 0:26 / /net/my\040disk/fast rw shared:3 - tmpfs none rw
32 22 0:27 / /net/twice rw - ext4 /dev/vdb rw
33 32 0:28 / /net/twice rw - cifs //server/share rw
nonsense
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/home/me", "ext4"),
        ("/net", "ext4"),
        ("/net/my disk", "nfs4"),
        ("/net/my disk/store/a", "nfs4"),
        ("/net/my disk/fast/a", "tmpfs"),
        ("/net/my diskette", "ext4"),
        ("/net/twice/a", "cifs"),
    ],
)
def test_a_folder_is_on_the_last_and_deepest_mount_above_it(
    folder: str, kind: str, tmp_path: Path
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(TABLE)
    assert filesystem(Path(folder), mounts=table) == kind


def test_without_a_table_the_type_is_unknown(tmp_path: Path) -> None:
    assert filesystem(tmp_path, mounts=tmp_path / "absent") == ""


def test_this_machine_knows_its_own_file_systems() -> None:
    if not Path("/proc/self/mountinfo").exists():
        pytest.skip("this system has no /proc/self/mountinfo")
    assert filesystem(Path("/proc/self")) == "proc"


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "lustre", "fuse.sshfs", "9p"])
def test_network_file_systems_are_known(kind: str) -> None:
    assert is_network(kind)


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "overlay", "fuseblk", "fuse.fuse-overlayfs", ""]
)
def test_local_file_systems_are_not_warned_of(kind: str) -> None:
    assert not is_network(kind)
