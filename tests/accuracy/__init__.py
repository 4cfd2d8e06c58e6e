"""The claim, measured: what happened in the processes against what the collector shows, scenario by scenario."""
