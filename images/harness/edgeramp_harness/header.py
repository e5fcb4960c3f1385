"""What the headers of model files have in common: a tensor's name, shape and type, and how a bad one is refused."""

from __future__ import annotations

import math
from dataclasses import dataclass


class HeaderError(ValueError):
    """What is wrong with the file, in words."""


@dataclass(frozen=True)
class Tensor:
    """`shape` as the format writes it: GGUF has the row's width first."""

    name: str
    shape: tuple[int, ...]
    type: str

    @property
    def elements(self) -> int:
        return math.prod(self.shape)
