"""Counters that a team's application keeps for itself decide a rollout, as the gateway's do: on real parts."""

from __future__ import annotations

from tests.e2e.test_rollout import ROUTE, Json, in_phase, manifest, scene, wait_for

from devstack.load_report import failed_at_gateway
from devstack.scene import Scene

__all__ = ["scene"]

WRONG: Json = {
    "name": "wrong",
    "metric": "Custom",
    "maxIncrease": "2pp",
    "max": "10%",
    "bad": {"metric": "app_wrong_answers_total", "labels": {"service": "$(backend)"}},
    "total": {"metric": "app_answers_total", "labels": {"service": "$(backend)"}},
}
AMOUNTS: list[Json] = [
    {"name": "tokens", "metric": "TokensPerRequest", "onBreach": "Report"},
    {"name": "cost", "metric": "CostPerRequest", "onBreach": "Report"},
]
SLOW: Json = {"steps": [{"progress": 50, "minDuration": "5m", "minRequests": 30}, {"progress": 100}]}


def priced(route: Json) -> Json:
    """The route with a small model at a tenth of the large one's price."""
    for model, per_million in zip(route["spec"]["models"], ("10", "1"), strict=True):
        model["price"] = {"inputPerMillionTokens": per_million, "outputPerMillionTokens": per_million}
    return route


def counted(status: Json) -> int:
    return max((each.get("candidateRequests") or 0 for each in status.get("objectives") or ()), default=0)


def test_a_version_that_goes_bad_by_the_applications_own_counter_goes_back_and_a_healthy_one_is_promoted(
    scene: Scene,
) -> None:
    """Every answer is a 200, in time and safe: only the application knows which are wrong."""
    second = Scene(scene.stack, scene.stack.create_namespace(f"{scene.namespace}-healthy"))
    try:
        second.set_up()
        servers = {}
        for each in (scene, second):
            each.add_model("large-v1", seed=1, wrong_rate=0.03)
            servers[each] = each.add_model("small-v1", seed=2, wrong_rate=0.02)
            each.apply(priced(manifest(each, large=100, small=0, objectives=[WRONG, *AMOUNTS])))
        scene.start_operator(also=[second])
        for each in (scene, second):
            wait_for(each, in_phase("Stable"), what="the route is Stable")
        loads = [each.start_load(rate=30.0, duration_s=300.0, seed=3) for each in (scene, second)]
        scene.apply(priced(manifest(scene, large=60, small=40, objectives=[WRONG, *AMOUNTS], rollout=SLOW)))
        second.apply(priced(manifest(second, large=60, small=40, objectives=[WRONG, *AMOUNTS])))

        seen = wait_for(scene, lambda status: counted(status) > 60, what="wrong answers are counted")
        (healthy,) = seen["objectives"]
        assert healthy["verdict"] == "NoHarmShown"
        assert healthy["bound"] == "at most 10%, and at most 2pp above the reference"
        servers[scene].control(wrong_rate=0.5)
        back = wait_for(scene, in_phase("RolledBack"), what="rolled back")
        assert "small is worse on wrong than allowed" in back["message"]
        (rollout,) = scene.rollouts()
        assert rollout["status"]["decision"]["objective"] == "wrong"
        assert scene.weights(ROUTE) == {"large-v1": 10_000, "small-v1": 0}

        promoted = wait_for(
            second, lambda s: s.get("phase") == "Stable" and s.get("attempt") == 1, what="the healthy one is promoted"
        )
        assert promoted["live"] == "small 40 %, large 60 %"
        (evidence,) = second.rollouts()[0]["status"]["objectives"]
        assert evidence["candidateBad"] <= evidence["candidateRequests"]
        assert "watches wrong" in promoted["guard"]
        tokens, cost = promoted["amounts"]
        assert tokens["candidateRequests"] > 30
        assert 0.7 < float(tokens["ratio"]) < 1.4, "the same questions of both"
        assert float(cost["ratio"]) < 0.2, "at a tenth of the price"
        assert (tokens["unit"], cost["unit"]) == ("tokens", "USD")
        for load in loads:
            load.process.stop(grace_s=15.0)
            assert failed_at_gateway(load.records()) == []
    finally:
        second.tear_down()
        scene.stack.kubectl("delete", "namespace", second.namespace, "--wait=false")
