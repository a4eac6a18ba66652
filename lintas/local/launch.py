"""Become a server: die with the supervisor, and as root step down to an ordinary user first.

Run as a script by its path, with the standard library only, because it stands between the supervisor and each
of its children: ``python -I -S launch.py --parent PID --signal N [--user UID GID [--enter]] -- COMMAND...``.
"""

import argparse
import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522


def become(uid: int, gid: int, *, enter: bool) -> None:
    """Change from root to an ordinary user.

    Args:
        uid: user to become.
        gid: group to become.
        enter: keep one privilege of root, to pass folders that are closed to others (CAP_DAC_OVERRIDE):
            PostgreSQL refuses to run as root, but its files may lie below root's own home.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if enter:
        libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if enter:
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
        mask = 1 << _CAP_DAC_OVERRIDE
        sets = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)  # effective, permitted, inheritable: low, then high
        libc.capset(header, sets)
        libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)
        # where the container withholds it, the server's own message says which folder it cannot enter


def main() -> None:
    """Set up this process as asked, then replace it by the command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--signal", type=int, required=True)
    parser.add_argument("--user", type=int, nargs=2)
    parser.add_argument("--enter", action="store_true")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    if arguments.user:
        become(*arguments.user, enter=arguments.enter)
    if sys.platform == "linux":  # after the change of user, which clears it
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, arguments.signal, 0, 0, 0)
    if os.getppid() != arguments.parent:
        sys.exit("the supervisor died while this part was being started")
    os.execv(arguments.command[0], arguments.command)  # noqa: S606  becoming the given command is the point


if __name__ == "__main__":
    main()
