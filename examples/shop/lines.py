"""The same application, measured by a line for each library instead of variables alone."""

from __future__ import annotations

import billing
import own
import telemetry

telemetry.configure()
telemetry.instrument(own.app)
telemetry.instrument_sqlalchemy(own.engine)
telemetry.instrument_celery(billing.app)
completions = own.model.chat.completions
completions.create = telemetry.llm_call(provider="openai")(completions.create)  # type: ignore[method-assign]
app = own.app
