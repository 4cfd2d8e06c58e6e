"""What went wrong where no encrypted connection could be made, told from the words of OpenSSL and BoringSSL."""

from __future__ import annotations

import re
from enum import Enum


class TlsProblem(Enum):
    """Which of the two sides has to be mended, and how; the value is the words that tell it."""

    NO_TLS = r"wrong.version.number|record layer failure|http request"
    """What listens there speaks no TLS."""
    EXPIRED = r"certificate has expired"
    """The collector's certificate has ended."""
    NOT_YET = r"certificate is not yet valid"
    """The collector's certificate has not begun, or this host's clock is behind."""
    NAME = r"(hostname|ip address) (mismatch|verification)|doesn't match|not valid for"
    """The collector's certificate is for another name."""
    OWN_MISSING = r"certificate.required|alert handshake failure"
    """The collector wants a certificate of this sender."""
    OWN_EXPIRED = r"alert.certificate.expired"
    """This sender's certificate has ended."""
    OWN_UNKNOWN = r"unknown.ca\b|alert.(bad.certificate|certificate.unknown|unknown)"
    """The collector does not trust this sender's certificate."""
    AUTHORITY = r"self.signed certificate|unable to get (local )?issuer certificate|certificate.verify.failed"
    """The collector's certificate is of an authority that is not trusted here."""
    HUNG_UP = r"\beof\b|unwrap failed|socket closed|connection reset|broken pipe"
    """The collector ended the handshake without a word that was read: it wants another certificate, or none came."""
    OTHER = r"\[ssl|ssl_|(ssl|tls) handshake|tlsv1"
    """Something else."""


def problem_of(said: str) -> TlsProblem | None:
    """What the words of a library tell; ``None`` where they tell of no TLS at all."""
    return next((problem for problem in TlsProblem if re.search(problem.value, said, re.IGNORECASE)), None)
