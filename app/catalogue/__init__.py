"""The metrics of the chat product, as any user of telemetry declares his own; how they count is in `app.recorders`."""

from __future__ import annotations

from typing import Final

from app.catalogue import business, storage
from telemetry.catalogue import Catalogue, celery, database, errors, http, llm, telemetry

MODULES: Final = (business, storage)

# In the order of the monitoring guide, for dashboards and documentation.
FLEET: Final = Catalogue((http, celery, llm, database, business, storage, errors, telemetry))
