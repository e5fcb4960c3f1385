"""llama.cpp on the CPU, through the low-level functions of llama-cpp-python: no tokenizer, no sampling, no copies.

The context is the one that is served (CONTEXT), its cache in llama.cpp's default f16 on both sides of a comparison.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgeramp_harness.runtimes import Array, LoadError, Port

GGUF_FILE = "model.gguf"
CONTEXT = 2048
BATCH = 512
WRITTEN = 32
"""Tokens written after a prompt to time generation."""


def version() -> str:
    """Of llama-cpp-python, which pins its llama.cpp."""
    import llama_cpp

    return str(llama_cpp.__version__)


def quiet() -> None:
    """llama.cpp logs pages for every load; what matters comes as return codes."""
    import llama_cpp

    llama_cpp.llama_log_set(_ignore(), ctypes.c_void_p(0))


def _ignore() -> Any:
    global _callback
    if _callback is None:
        import llama_cpp

        _callback = llama_cpp.llama_log_callback(lambda _level, _text, _data: None)
    return _callback


_callback: Any = None  # llama.cpp keeps the pointer: the object must live as long as the process


class LlamaSession:
    """One model, one sequence. Items are rows of token ids, all of one length."""

    def __init__(self, path: Path, threads: int, precision: str) -> None:
        import llama_cpp as lib

        self._lib, self.version, self.effective_precision = lib, version(), precision
        quiet()
        lib.llama_backend_init()
        parameters = lib.llama_model_default_params()
        parameters.n_gpu_layers = 0
        self._model = lib.llama_model_load_from_file(str(path).encode(), parameters)
        if not self._model:
            raise LoadError(f"llama.cpp cannot load {path.name}")
        self.context_length = min(CONTEXT, int(lib.llama_model_n_ctx_train(self._model)) or CONTEXT)
        wanted = lib.llama_context_default_params()
        wanted.n_ctx, wanted.n_batch, wanted.n_ubatch = self.context_length, BATCH, BATCH
        wanted.n_threads = wanted.n_threads_batch = threads
        self._context = lib.llama_init_from_model(self._model, wanted)
        if not self._context:
            raise LoadError(
                f"llama.cpp cannot make a context of {self.context_length} tokens for {path.name}"
            )
        self._memory = lib.llama_get_memory(self._context)
        self._batch = lib.llama_batch_init(BATCH, 0, 1)
        self.vocabulary = int(lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(self._model)))
        self.inputs = (Port("tokens", np.dtype("int32"), (-1, -1)),)
        self.outputs = (Port("logits", np.dtype("float32"), (-1, self.vocabulary)),)
        self._prompt: bytes = b""

    def infer(self, feeds: Mapping[str, Array]) -> list[Array]:
        """Logits of the token that follows each row."""
        return [np.stack([self._read(row) for row in feeds["tokens"]])]

    def unit(self, feeds: Mapping[str, Array]) -> None:
        """What is timed: writing one token behind the prompt, which stays in the cache from call to call."""
        prompt = feeds["tokens"][0][: self.context_length - 1]
        if self._prompt != (key := prompt.tobytes()):
            self._read(prompt)
            self._prompt = key
        self._write(int(prompt[-1]), len(prompt))
        self._lib.llama_memory_seq_rm(self._memory, 0, len(prompt), -1)

    def token_logits(self, row: Array) -> Iterator[Array]:
        """Logits behind every token of the row, in pieces [tokens, vocabulary]."""
        self._prompt = b""
        self._lib.llama_memory_clear(self._memory, True)
        self._check(row)
        for start in range(0, len(row), BATCH):
            piece = row[start : start + BATCH]
            self._decode(piece, start, every=True)
            pointer = self._lib.llama_get_logits(self._context)
            yield np.ctypeslib.as_array(pointer, (len(piece), self.vocabulary)).copy()

    def generate(self, feeds: Mapping[str, Array]) -> dict[str, float]:
        """Seconds to the first token of a prompt, and per token that is written after it; each the most likely."""
        prompt = feeds["tokens"][0]
        written = min(WRITTEN, self.context_length // 2)
        prompt = prompt[: self.context_length - written]
        start = time.perf_counter()
        token = int(self._read(prompt).argmax())
        first = time.perf_counter() - start
        start = time.perf_counter()
        for place in range(len(prompt), len(prompt) + written):
            token = int(self._write(token, place).argmax())
        return {"prompt": len(prompt), "first": first, "each": (time.perf_counter() - start) / written}

    def _check(self, row: Array) -> None:
        if len(row) > self.context_length:
            raise ValueError(f"a text of {len(row)} tokens does not fit the context of {self.context_length}")
        if len(row) == 0 or int(row.min()) < 0 or int(row.max()) >= self.vocabulary:
            raise ValueError(f"token ids must lie in 0..{self.vocabulary - 1}")

    def _read(self, row: Array) -> Array:
        """Empty the cache, read the row; the logits behind its last token."""
        self._prompt = b""
        self._lib.llama_memory_clear(self._memory, True)
        self._check(row)
        for start in range(0, len(row), BATCH):
            self._decode(row[start : start + BATCH], start, every=False)
        return self._last()

    def _write(self, token: int, place: int) -> Array:
        self._decode(np.array([token], np.int32), place, every=False)
        return self._last()

    def _last(self) -> Array:
        pointer = self._lib.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(pointer, (self.vocabulary,)).copy()

    def _decode(self, tokens: Array, start: int, every: bool) -> None:
        batch, count = self._batch, len(tokens)
        batch.n_tokens = count
        for i in range(count):
            batch.token[i] = int(tokens[i])
            batch.pos[i] = start + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = every or i == count - 1
        code = self._lib.llama_decode(self._context, batch)
        if code != 0:
            raise RuntimeError(f"llama_decode returned {code} at token {start}")
