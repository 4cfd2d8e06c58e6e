"""The containers of compose.yaml in namespaces, killed at random under traffic: what clients saw and what was counted."""
