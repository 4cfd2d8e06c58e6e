"""How metrics leave the process: settings, resource, provider, reader, loss-free delivery, fork contract."""
