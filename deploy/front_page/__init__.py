"""The front door's page: the fleet's name, the state of each part, and where everything is."""
