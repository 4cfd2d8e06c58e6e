"""The state of one simulated vendor and what every request needs of it; what is answered is the APIs' business."""

from __future__ import annotations

import hashlib

from starlette.requests import Request

from deploy.simulated_llm.chance import Chance, Seen
from deploy.simulated_llm.faults import VendorError
from deploy.simulated_llm.ledger import Ledger
from deploy.simulated_llm.models import Model, Provider, Work, find
from deploy.simulated_llm.settings import Settings
from deploy.simulated_llm.tokens import PromptCache


class Vendor:
    """One simulated vendor."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        """Forget everything that was served."""
        self.ledger = Ledger()
        self.prompts = PromptCache()
        self._seen = Seen()

    def admit(self, request: Request) -> None:
        """Let a request in.

        Raises:
            VendorError: 401, it has no key or a wrong one.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        key = request.headers.get("x-api-key") or (token if scheme.lower() == "bearer" else "")
        if key not in self.settings.api_keys:
            raise VendorError(401, code="invalid_api_key")

    def model(self, provider: Provider, work: Work, name: str) -> Model:
        """Return the model of that name.

        Raises:
            VendorError: 404, there is none.
        """
        model = find(provider, work, name)
        if model is None:
            sentence = f"The model `{name[:100]}` does not exist or you do not have access to it (simulated)."
            raise VendorError(404, sentence, code="model_not_found", param="model")
        return model

    def chance(self, *content: bytes) -> Chance:
        """The chance of a request with this content, which is thereby seen once more."""
        digest = hashlib.sha256(b"\0".join(content)).hexdigest()
        return Chance(self.settings.seed, digest, self._seen.count(digest))

    def pace(self, model: Model, chance: Chance) -> tuple[float, float]:
        """Seconds until the first token, and for each further one."""
        draw = chance.stream("latency")
        first = model.first * draw.lognormvariate(0, model.spread)
        return first / self.settings.speed, 1 / model.token_rate / self.settings.speed


def vendor_of(request: Request) -> Vendor:
    """The vendor that serves a request."""
    vendor = request.app.state.vendor
    assert isinstance(vendor, Vendor)  # noqa: S101 (for the type checker)
    return vendor
