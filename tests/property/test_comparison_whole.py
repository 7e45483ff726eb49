"""Whatever the models did, there is a decision, and it can be told in every way."""

from __future__ import annotations

import json
from xml.etree import ElementTree

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.comparisons import Answers, comparison, results

from modelroute.compare.as_json import to_json
from modelroute.compare.as_text import to_markdown
from modelroute.compare.decide import decide
from modelroute.compare.page import to_html
from modelroute.compare.pictures import front, heat, latency, weights

ASKED = comparison(
    models=[
        {"name": "large", "price": {"inputPerMillionTokens": "10", "outputPerMillionTokens": "50"}},
        {"name": "small", "price": {"perRequest": "0"}, "hosting": {"perMonth": "100"}},
        {"name": "unpriced"},
    ],
    constraints=["latencyP95 < 2s", "safetyViolationRate < 5%", "accuracy >= 40%", "costPerInteraction < 0.01"],
    criteria=[
        {"name": "accuracy", "weight": 2, "worst": "0%", "target": "100%"},
        {"name": "latencyP99", "weight": 1, "worst": "9s", "target": "0s"},
        {"name": "safetyViolationRate", "weight": 0, "worst": "10%", "target": "0%"},
        {"name": "costPerInteraction", "weight": 1, "worst": "0.01", "target": "0"},
    ],
    volume={"requestsPerDay": 100},
    errors={"escalationRate": "10%", "costPerEscalation": "1"},
)

NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""A decision takes a tenth of a second: to shrink a failure would take minutes."""


@st.composite
def answers(draw: st.DrawFn) -> Answers:
    """From no answer at all to some thirty, of which any may have failed."""
    count = draw(st.integers(0, 30))
    whole = draw(st.booleans())
    score = st.sampled_from([0.0, 1.0]) if whole else st.floats(0, 1)
    return Answers(
        scores=draw(st.lists(score, min_size=count, max_size=count)),
        latencies=draw(st.lists(st.none() | st.floats(0, 30), max_size=4)),
        violations=draw(st.lists(st.none() | st.booleans(), max_size=4)),
        tokens=draw(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6))),
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], phases=NO_SHRINKING)
@given(large=answers(), small=answers(), unpriced=answers())
def test_there_is_always_a_decision_and_a_way_to_tell_it(large: Answers, small: Answers, unpriced: Answers) -> None:
    decision = decide(ASKED, results({"large": large, "small": small, "unpriced": unpriced}))

    told = json.loads(to_json(decision))
    assert told["winner"] == (told["ranking"][0] if told["ranking"] else None)
    for model in told["models"].values():
        assert 0 <= model["total"] <= 1 + 1e-9
        for measure in model["measures"].values():
            if measure["value"] is not None and measure["high"] is not None:
                assert measure["low"] <= measure["value"] * (1 + 1e-6) + 1e-9
                assert measure["value"] <= measure["high"] * (1 + 1e-6) + 1e-9
    assert to_markdown(decision).startswith("# support\n")
    assert to_html(decision).endswith("</html>\n")
    for picture in (front.draw(decision), heat.draw(decision), latency.draw(decision), *weights.draw(decision)):
        if picture is not None:
            ElementTree.fromstring(picture)
            assert "nan" not in picture
            assert "inf" not in picture
