"""Keeps what was sent and counted, for the table of `docs/adopt.md` (`make adopt-page`)."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any


def keep(example: str, launcher: str, form: str, what: str, sent: Counter[Any], counted: Counter[Any]) -> None:
    """Write a row down, in the place of an earlier one of the same launcher and form."""
    path = os.environ.get("ADOPT_ROWS")
    if path is None:
        return
    file = Path(path)
    rows = json.loads(file.read_text()) if file.exists() else []
    row = {"example": example, "launcher": launcher, "form": form, "what": what}
    kept = [other for other in rows if any(other[key] != row[key] for key in row)]
    kept.append({**row, "sent": sent.total(), "counted": counted.total(), "exact": sent == counted})
    kept.sort(key=lambda each: (each["example"], each["launcher"], each["what"], each["form"]))
    file.write_text(json.dumps(kept, indent=1) + "\n")
