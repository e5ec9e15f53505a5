"""A kernel that refuses a call: a filter (seccomp) that stays with the thread for as long as that lives.

A thread without it may go on as if the disk had come back. Linux only, without any privilege.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from typing import Final

NUMBERS: Final = {
    "x86_64": {"fdatasync": 75, "pwrite64": 18, "writev": 20, "seccomp": 317},
    "aarch64": {"fdatasync": 83, "pwrite64": 68, "writev": 66, "seccomp": 277},
}
_NO_NEW_PRIVILEGES, _FILTER, _ALL_THREADS = 38, 1, 1
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_REFUSE, _ALLOW = 0x0005_0000, 0x7FFF_0000
_THIRD_ARGUMENT: Final = 16 + 8 * 2
"""Where the program finds it in what the kernel tells of a call."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def deny(call: str, code: int, *, size: int | None = None, all_threads: bool = False) -> None:
    """Let a system call fail with an errno, or only those of this size, on this thread from now on.

    With `all_threads`, on every thread of the process. There is no way back.
    """
    numbers = NUMBERS[platform.machine()]
    wanted = [(_LOAD, 0, 0, 0), (_JUMP_IF_EQUAL, 0, 1 if size is None else 3, numbers[call])]
    if size is not None:
        wanted += [(_LOAD, 0, 0, _THIRD_ARGUMENT), (_JUMP_IF_EQUAL, 0, 1, size)]
    wanted += [(_RETURN, 0, 0, _REFUSE | code), (_RETURN, 0, 0, _ALLOW)]
    code_of = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in wanted))
    program = _Program(len(wanted), ctypes.cast(code_of, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    _checked(libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    flags = _ALL_THREADS if all_threads else 0
    _checked(libc.syscall(numbers["seccomp"], _FILTER, flags, ctypes.byref(program)))


def _checked(result: int) -> None:
    if result:
        code = ctypes.get_errno()
        raise OSError(
            code, f"the kernel takes no filter: {errno.errorcode.get(code, code)}: {os.strerror(code)}"
        )
