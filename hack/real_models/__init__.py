"""Two real models on this machine, evaluated and compared: `make eval-real`. Opt-in, and never in CI.

SmolLM2-135M comes as a Python package, llama.cpp serves it, and its own requantisation to 2 bits is the other model.
That one is broken, and the comparison has to find it so. `requantise.py` runs in the environment that has llama.cpp.
"""
