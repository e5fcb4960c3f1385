"""A process in which OpenVINO's objects die on another thread outlives its next signal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from .conftest import tiny_model

_SCRIPT = """
import ctypes, gc, os, signal, sys, threading
from pathlib import Path
from edgeramp_harness import runtimes, signal_stack

signal.signal(signal.SIGALRM, lambda *_: print("handled"))
box = [runtimes.load("openvino", Path(sys.argv[1]), "fp32", 1)]

class Stack(ctypes.Structure):
    _fields_ = (("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))

now = Stack()
ctypes.CDLL(None).sigaltstack(None, ctypes.byref(now))
print("disabled" if now.flags == 2 else "set")
free = threading.Thread(target=lambda: (box.clear(), gc.collect()))
free.start()
free.join()
os.kill(os.getpid(), signal.SIGALRM)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="alternate signal stacks are set on Linux alone")
def test_a_signal_after_openvinos_end_on_another_thread_is_handled(tmp_path: Path) -> None:
    onnx.save(tiny_model(), str(tmp_path / "model.onnx"))
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (0, ["disabled", "handled"]), done.stderr
