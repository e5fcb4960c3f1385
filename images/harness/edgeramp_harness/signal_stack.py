"""Taking back the alternate signal stack that OpenVINO leaves behind.

OpenVINO's CPU plugin gives the thread that loads it an alternate signal stack (for AMX). Where the last object that holds
the plugin dies on another thread, and Python's collector runs on any, the stack is unmapped but stays set, and the next
signal with a handler kills the process without a word. Seen with OpenVINO 2026.4; Jobs live by SIGALRM, servers by SIGTERM.
"""

from __future__ import annotations

import ctypes
import sys

_SS_DISABLE = 2  # sigaltstack(2), Linux


class _Stack(ctypes.Structure):
    """stack_t of sigaltstack(2)."""

    _fields_ = (("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def drop_signal_stack() -> None:
    """Let this thread take its signals on its own stack again. Call it on the thread that used OpenVINO, after use."""
    if sys.platform == "linux":
        ctypes.CDLL(None).sigaltstack(ctypes.byref(_Stack(None, _SS_DISABLE, 0)), None)
