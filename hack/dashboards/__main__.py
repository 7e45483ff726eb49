"""`python -m dashboards` writes docs/metrics.md's tables and the dashboard anew; `--check` says what is out of date."""

import json
import sys
from pathlib import Path

from dashboards.board import board
from dashboards.page import with_tables

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs" / "metrics.md"
DASHBOARD = REPOSITORY / "charts" / "modelroute" / "files" / "dashboard.json"


def made() -> dict[Path, str]:
    """What each file should hold."""
    return {
        PAGE: with_tables(PAGE.read_text(encoding="utf-8")),
        DASHBOARD: json.dumps(board(), indent=2, ensure_ascii=False) + "\n",
    }


def main() -> int:
    stale = {
        path: text for path, text in made().items() if not path.exists() or path.read_text(encoding="utf-8") != text
    }
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(REPOSITORY)} is out of date: python -m dashboards", file=sys.stderr)
        return 1 if stale else 0
    for path, text in stale.items():
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(REPOSITORY)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
