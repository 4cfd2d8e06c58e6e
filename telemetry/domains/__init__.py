"""How metrics are measured: one recorder a domain, with the names of the catalogue's modules."""
