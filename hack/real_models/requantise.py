"""Squeezes a GGUF model to 2 bits a weight: python requantise.py SOURCE TARGET. Needs llama-cpp-python alone."""

import ctypes
import sys
from pathlib import Path

import llama_cpp


def requantise(source: Path, target: Path) -> None:
    """Weights that were quantised once lose more than those of the original would: hence `allow_requantize`."""
    asked = llama_cpp.llama_model_quantize_default_params()
    asked.nthread = 1
    asked.ftype = llama_cpp.LLAMA_FTYPE_MOSTLY_Q2_K
    asked.allow_requantize = True
    failed = llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(asked))
    if failed:
        sys.exit(f"{source} could not be requantised: llama.cpp returned {failed}")


if __name__ == "__main__":
    requantise(Path(sys.argv[1]), Path(sys.argv[2]))
