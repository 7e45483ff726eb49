"""The engine's face: start an attempt, fold in a window, say what is known. Pure; the state is a value.

    state = start(design)
    state = advance(design, state, window)      # once for each window, in order
    assess(design, state).rollback_breached     # at every look: the error rate holds over all of them

One e-process for each objective × candidate × boundary, fast ones beside them, and those of `max` and of the split;
their weighted mean is an e-process again (Vovk & Wang, *Merging e-values by averaging*), so one threshold, 1/α, holds
for a whole attempt with all its objectives, steps and looks.
"""

from __future__ import annotations

from modelroute.analysis.advance import advance, advance_all, start_gate
from modelroute.analysis.assessment import Answering, Assessment, Finding, Knowledge, assess, assess_all
from modelroute.analysis.evidence import MARGINS, State, Tally, start
from modelroute.analysis.interval import Interval
from modelroute.analysis.layout import FAST_MARGIN, FAST_SHARE
from modelroute.analysis.state import ENGINE_VERSION, decode, encode, version_of

__all__ = [
    "ENGINE_VERSION",
    "FAST_MARGIN",
    "FAST_SHARE",
    "MARGINS",
    "Answering",
    "Assessment",
    "Finding",
    "Interval",
    "Knowledge",
    "State",
    "Tally",
    "advance",
    "advance_all",
    "assess",
    "assess_all",
    "decode",
    "encode",
    "start",
    "start_gate",
    "version_of",
]
