"""Do the results answer what the comparison asks? What makes a decision impossible is refused, the rest is noted."""

from __future__ import annotations

from collections.abc import Iterator

from modelroute.compare.domain import Comparison, Kind, Measure
from modelroute.compare.measure import ACCURACY
from modelroute.compare.results import Manifest, Results
from modelroute.errors import Invalid


def check_fit(comparison: Comparison, manifest: Manifest) -> None:
    """Raises Invalid with the field of comparison.yaml that the results have no answer to."""
    if manifest.currency != comparison.currency:
        said = f"{comparison.currency!r}, but the results count in {manifest.currency!r}: compare in one currency"
        raise Invalid(said, field="currency")
    for index, model in enumerate(comparison.models):
        found = manifest.models.get(model.name)
        if found is None:
            known = ", ".join(manifest.models)
            said = f"the results have no model {model.name!r} (they have {known}): evaluate it first"
            raise Invalid(said, field=f"models[{index}].name")
        if found.served_name != model.served_name:
            said = f"the answers are by {found.served_name!r}, not by {model.served_name!r}: evaluate again"
            raise Invalid(said, field=f"models[{index}].servedName")
    for index, suite in enumerate(comparison.suites):
        if suite.name not in manifest.suites:
            known = ", ".join(manifest.suites)
            said = f"the results have no suite {suite.name!r} (they have {known}): evaluate it first"
            raise Invalid(said, field=f"suites[{index}].name")
    scored = {score for suite in comparison.suites for score in manifest.suites[suite.name].scores}
    if comparison.error_cost is not None and ACCURACY.score not in scored:
        said = (
            f"wrong answers are told by accuracy, and no suite in the results scores it ({', '.join(sorted(scored))})"
        )
        raise Invalid(f"{said}: remove errors, or add such a suite", field="errors")
    for field, measure in _asked(comparison):
        _check_score(comparison, manifest, measure, field)


def notes(comparison: Comparison, results: Results) -> tuple[str, ...]:
    """What a reader of the decision should know about the results, a sentence each."""
    return tuple(_notes(comparison, results))


def _asked(comparison: Comparison) -> Iterator[tuple[str, Measure]]:
    for index, criterion in enumerate(comparison.criteria):
        yield f"criteria[{index}].name", criterion.measure
    for index, constraint in enumerate(comparison.constraints):
        yield f"constraints[{index}]", constraint.measure


def _check_score(comparison: Comparison, manifest: Manifest, measure: Measure, field: str) -> None:
    if measure.kind not in (Kind.ACCURACY, Kind.SCORE):
        return
    suites = [suite.name for suite in comparison.suites if measure.suite in ("", suite.name)]
    known = {score for suite in suites for score in manifest.suites[suite].scores}
    if measure.score not in known:
        said = f"no suite in the results scores {measure.score!r}: they score {', '.join(sorted(known)) or 'nothing'}"
        raise Invalid(said, field=field)


def _notes(comparison: Comparison, results: Results) -> Iterator[str]:
    if results.manifest.comparison_hash != comparison.evaluation_hash:
        yield "models, suites or how they are asked changed since the results were made: evaluate again to be sure"
    for model in comparison.models:
        for suite in comparison.suites:
            items, there = results.manifest.suites[suite.name].items, len(results.samples[model.name, suite.name])
            if there < items:
                yield f"{model.name} was asked {there} of the {items} items of {suite.name}: finish the evaluation"
        samples = [sample for suite in comparison.suites for sample in results.samples[model.name, suite.name]]
        failed = sum(sample.error is not None for sample in samples)
        if failed:
            yield (
                f"{failed} of {len(samples)} requests to {model.name} failed: they count as wrong, and as slower than "
                "every answer"
            )
