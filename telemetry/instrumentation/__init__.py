"""Where events come from: a room of hooks for each library, and the bridge from other instrumentors' metrics."""
