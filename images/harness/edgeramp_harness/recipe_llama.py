"""llama.cpp's own quantizer: an F32 GGUF into one of its types."""

from __future__ import annotations

import ctypes
import os
import shutil
from pathlib import Path

from edgeramp.report.exit_codes import ExitCode
from edgeramp.report.spec import Candidate
from edgeramp_harness import header_gguf, runtime_llama
from edgeramp_harness.errors import JobError, bad_spec
from edgeramp_harness.log import say
from edgeramp_harness.recipe_ort import Prepared

# Name -> (enumerator of llama_ftype, the block type that most matrices get, its row width).
TYPES = {
    "Q8_0": ("LLAMA_FTYPE_MOSTLY_Q8_0", "Q8_0", 32),
    "Q6_K": ("LLAMA_FTYPE_MOSTLY_Q6_K", "Q6_K", 256),
    "Q5_K_M": ("LLAMA_FTYPE_MOSTLY_Q5_K_M", "Q5_K", 256),
    "Q4_K_M": ("LLAMA_FTYPE_MOSTLY_Q4_K_M", "Q4_K", 256),
    "IQ4_XS": ("LLAMA_FTYPE_MOSTLY_IQ4_XS", "IQ4_XS", 256),
}
_FLOATS = frozenset({"F32", "F16", "BF16"})


def tool() -> str:
    """Name and version."""
    return f"llama-cpp-python {runtime_llama.version()}"


def fp32(model: Path, out: Path) -> Prepared:
    """The model as it is."""
    shutil.copyfile(model / runtime_llama.GGUF_FILE, out / runtime_llama.GGUF_FILE)
    return Prepared(out, "gguf", tool())


def quantize(model: Path, out: Path, candidate: Candidate) -> Prepared:
    """Exit 10 for an unknown type, 16 where llama.cpp refuses."""
    import llama_cpp

    name = str(candidate.params.get("type", ""))
    if name not in TYPES:
        raise bad_spec(f"params.type is {name!r}; choose one of {', '.join(TYPES)}")
    enumerator, block, width = TYPES[name]
    source, target = model / runtime_llama.GGUF_FILE, out / runtime_llama.GGUF_FILE
    runtime_llama.quiet()
    parameters = llama_cpp.llama_model_quantize_default_params()
    parameters.ftype = getattr(llama_cpp, enumerator)
    parameters.nthread = len(os.sched_getaffinity(0))
    code = llama_cpp.llama_model_quantize(
        str(source).encode(), str(target).encode(), ctypes.byref(parameters)
    )
    if code != 0 or not target.is_file():
        raise JobError(
            ExitCode.BAD_OUTPUT, f"llama.cpp could not quantize to {name} (code {code})", "ToolFailed"
        )
    return _described(header_gguf.read(source), header_gguf.read(target), out, name, block, width)


def _described(
    before: header_gguf.Header, after: header_gguf.Header, out: Path, name: str, block: str, width: int
) -> Prepared:
    """What became of the matrices; llama.cpp itself falls back to other types without a word."""
    matrices = [t for t in before.tensors if len(t.shape) > 1]
    kinds = {t.name: t.type for t in after.tensors}
    done = [t for t in matrices if kinds.get(t.name, "F32") not in _FLOATS]
    if not done:
        raise JobError(
            ExitCode.UNSUPPORTED, f"nothing in this model can be stored as {name}", "NothingQuantized"
        )
    odd = [t for t in matrices if t.shape[0] % width]
    warnings = []
    if odd:
        warnings.append(
            f"{len(odd)} of {len(matrices)} matrices have rows that are no multiple of {width}: not {block}"
        )
    say(f"{len(done)} of {len(matrices)} matrices quantized: {dict(after.types)}")
    details = {"type": name, "tensorTypes": dict(after.types)}
    return Prepared(out, "gguf", tool(), len(done), len(matrices) - len(done), warnings, details)
