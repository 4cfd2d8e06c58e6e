"""The verbs of the product's own metrics, which `app.catalogue` declares."""
