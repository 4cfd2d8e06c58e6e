"""Looks for secrets in the repository, and for known vulnerabilities in what it is made of. It changes neither."""
