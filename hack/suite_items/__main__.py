"""Write the items: `python -m suite_items [folder]`."""

import json
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from suite_items import adversarial, conditional, negation, summarization, support

SEED = 20260
FOLDER = Path(__file__).parents[2] / "operator/modelroute/compare/suites/items"
TEMPLATES: dict[str, Callable[[random.Random], Iterator[dict[str, Any]]]] = {
    "adversarial": adversarial.items,
    "conditional": conditional.items,
    "negation": negation.items,
    "summarization": summarization.items,
    "support": support.items,
}


def lines(suite: str) -> list[str]:
    """The suite's JSONL, a line an item. A template that comes out twice is left out the second time."""
    rng = random.Random(f"{SEED}/{suite}")
    seen: set[str] = set()
    found: list[str] = []
    for made in TEMPLATES[suite](rng):
        key = made.get("system", "") + made["prompt"]
        if key in seen:
            continue
        seen.add(key)
        found.append(json.dumps({"id": f"{suite[:3]}-{len(found) + 1:03d}", **made}, ensure_ascii=False))
    return found


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    for suite in TEMPLATES:
        written = lines(suite)
        (folder / f"{suite}.jsonl").write_text("\n".join(written) + "\n", encoding="utf-8")
        print(f"{suite}: {len(written)} items")


if __name__ == "__main__":
    main()
